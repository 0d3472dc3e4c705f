"""Commands as processes that are stopped under way, and what they leave behind.

Each is a process of its own, forked from a server that has imported what takes seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from reproducer.experiments import EXPERIMENTS
from reproducer.results.packs import Packs
from reproducer.results.specs import Result
from reproducer.results.store import Store

# Numbers that differ by less, in parts or as they stand, differ by rounding.
NEAR = 1e-3
SECONDS = 240  # before a process is taken to hang
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "nltk.tokenize",
        "reproducer.app.cli",
        "reproducer.app.fit_text",
        "reproducer.experiments.ledger",
        *(f"reproducer.experiments.{name}" for name in EXPERIMENTS),
        "reproducer.results.run",
        "scipy.stats",
        "wordfreq",
        __name__,
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its status, negative where a signal killed it, and what it printed."""

    status: int
    out: str
    err: str


class Command:
    """A running command; it calls `prepare(*given)`, if there is one, before it begins."""

    def __init__(self, place: Place, words: tuple[str, ...], prepare: tuple) -> None:
        self.place = place
        self.process: BaseProcess = SERVER.Process(target=_run, args=(place, words, prepare))
        self.process.start()

    @property
    def running(self) -> bool:
        return self.process.is_alive()

    def send(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def ended(self) -> Ended:
        """Wait for the end."""
        self.process.join(SECONDS)
        if self.running:
            self.process.kill()
            raise TimeoutError(f"{self.place.folder}: no end after {SECONDS} s")
        texts = ((self.place.folder / name).read_text() for name in ("out", "err"))
        return Ended(self.process.exitcode, *texts)

    def reaches(self, condition: Callable[[], object]) -> bool:
        """Wait for a condition; False if the command ends before it is met."""
        begun = time.monotonic()
        while not condition():
            if not self.running or time.monotonic() - begun > SECONDS:
                return False
            time.sleep(0.005)
        return True


class Place:
    """A folder with a store and packs of its own, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "mark"
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def store(self) -> Store:
        return Store(self.folder / "store")

    @property
    def packs(self) -> Packs:
        return Packs(self.folder / "packs")

    @property
    def environment(self) -> dict[str, str]:
        """What makes a command use this place."""
        names = {"STORE": "store", "SHIPPED": "packs"}
        ours = {f"REPRODUCER_{key}": str(self.folder / name) for key, name in names.items()}
        return ours | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    def start(self, *words: str, prepare: tuple = ()) -> Command:
        """Start the command `reproduce WORDS…`; see `Command`."""
        return Command(self, words, prepare)

    def finish(self, *words: str, prepare: tuple = ()) -> Ended:
        """The command, from begin to end."""
        return self.start(*words, prepare=prepare).ended()

    def n_stored(self) -> int:
        """How many results the store holds."""
        store = self.store
        try:
            return len(store)
        finally:
            store.close()


def _run(place: Place, words: tuple[str, ...], prepare: tuple) -> None:
    import torch

    from reproducer.app.cli import main

    # Whoever started this may have told it to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(place.environment)
    torch.set_num_threads(1)
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        with open(place.folder / name, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    if prepare:
        function, *given = prepare
        function(*given)
    sys.argv = ["reproduce", *words]
    main()


def contents(source: Store | Packs) -> dict[str, Result]:
    """All results by their keys."""
    return {key: source.get(key) for key in source.keys()}


def different(found: dict[str, Result], expected: dict[str, Result]) -> list[str]:
    """The keys of results that are missing, damaged, too many, or other by more than rounding.

    How many fits share a batch depends on what is stored already, and on some CPUs a product over
    another number of rows adds in another order.
    """
    return sorted(
        key
        for key in found.keys() | expected.keys()
        if not (found.get(key) and expected.get(key) and same(found[key], expected[key]))
    )


def same(one: Result, other: Result) -> bool:
    """Whether spec, metrics but for seconds, and arrays agree, numbers up to rounding."""
    metrics = [{k: v for k, v in r.metrics.items() if k != "seconds"} for r in (one, other)]
    return (
        one.spec == other.spec
        and metrics[0].keys() == metrics[1].keys()
        and all(_near(value, metrics[1][name]) for name, value in metrics[0].items())
        and one.arrays.keys() == other.arrays.keys()
        and all(_near(array, other.arrays[name]) for name, array in one.arrays.items())
    )


def _near(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    return np.allclose(one, other, rtol=NEAR, atol=NEAR, equal_nan=True)
