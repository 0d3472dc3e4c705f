"""A pause inside a write, for a process that is to be stopped there.

While it pauses there is a file, the mark; the process goes on when somebody removes it.
"""

from __future__ import annotations

import itertools
import os
import time
from contextlib import contextmanager
from pathlib import Path

from reproducer.results.store import Store


def pause(mark: Path) -> None:
    """Make the mark and wait until it is gone."""
    mark.touch()
    while mark.exists():
        time.sleep(0.01)


def pause_in_put(number: int, mark: Path) -> None:
    """Pause in the `number`-th write of results: its row is written, but not committed."""
    writing, calls = Store._writing, itertools.count(1)

    @contextmanager
    def paused(self):
        with writing(self) as connection:
            before = connection.total_changes
            yield connection
            # Not where the store is only asked whether it can be written.
            if connection.total_changes > before and next(calls) == number:
                pause(mark)

    Store._writing = paused


def pause_in_pack(number: int, mark: Path) -> None:
    """Pause before the `number`-th of the three files of a pack is put in place."""
    replace, calls = os.replace, itertools.count(1)

    def paused(source, target):
        if str(source).endswith(".tmp") and next(calls) == number:
            pause(mark)
        replace(source, target)

    os.replace = paused
