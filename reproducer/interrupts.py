"""How a process that is asked to stop comes to an end: Ctrl-C, and SIGTERM, a cluster's way.

Both raise `Stopped` where the main thread happens to be, so that files are closed and children
ended on the way out; a section that must be finished first is marked with `uninterrupted`.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(SystemExit):
    """A signal asked the process to stop; its exit status is 128 and the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class _State:
    asked: int | None = None  # the signal that came
    depth = 0  # of the sections that are to be finished first


def stop_on_signals() -> None:
    """Let signals raise `Stopped` from here on; one that the process was told to ignore, does not.

    Only a process's main thread can call this.
    """
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _asked)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A section that the first signal does not end: it waits for the section's end.

    The second one ends it.
    """
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
    if _State.asked is not None and not _State.depth:
        raise Stopped(_State.asked)


def _asked(number: int, frame: FrameType | None) -> None:
    waits = _State.depth and _State.asked is None
    _State.asked = number
    if not waits:
        raise Stopped(number)
