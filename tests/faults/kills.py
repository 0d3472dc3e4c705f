"""Kills at chosen moments, each followed by the same command: is anything lost or different?

A trial kills a run, or a `pack`, with SIGKILL and repeats it. It passes if the store (or the packs)
then hold what those of an undisturbed run hold: the same specs, metrics and bytes of arrays.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.pauses import pause_in_pack, pause_in_put
from tests.faults.processes import Ended, Place, contents, different

MOMENTS = ("before anything is stored", "after something is stored", "in a write", "in a pack")


@dataclass(frozen=True)
class Trial:
    """One kill: at which moment, with how many results stored, and how many differ or are lost."""

    moment: str
    detail: str
    n_stored: int
    n_wrong: int


@dataclass(frozen=True)
class Kills:
    """Kills of the run of `experiments` under `options`, in folders below `folder`.

    `pack_options` choose the part of the results that is packed before all are packed.
    """

    folder: Path
    experiments: tuple[str, ...]
    options: tuple[str, ...]
    pack_options: tuple[str, ...]

    def prepare(self) -> None:
        """Make the undisturbed run, and packs of a part of its results with a store of the rest."""
        whole, part, packed = self._place("whole"), self._place("part"), self._place("packed")
        _require(whole.finish("run", *self.experiments, *self.options))
        _require(part.finish("run", *self.experiments, *self.options, *self.pack_options))
        _require(part.finish("pack", *self.experiments, *self.options))
        shutil.copytree(part.folder / "packs", packed.folder / "packs")
        _require(packed.finish("run", *self.experiments, *self.options))

    def n_results(self) -> int:
        """How many results the undisturbed run gave."""
        return self._place("whole").n_stored()

    def kill_run(self, name: str, after: int, seconds: float) -> Trial:
        """Kill the run `seconds` after its store holds `after` results."""
        place = self._place(name)
        command = place.start("run", *self.experiments, *self.options)
        reached = command.reaches(lambda: place.n_stored() >= after)
        time.sleep(seconds if reached else 0)
        moment = MOMENTS[1 if place.n_stored() else 0]
        return self._resumed(place, command, moment, f"{seconds:.2f} s after {after}")

    def kill_write(self, name: str, number: int) -> Trial:
        """Kill the run in its `number`-th write, before it is committed."""
        place = self._place(name)
        pause = (pause_in_put, number, place.mark)
        command = place.start("run", *self.experiments, *self.options, prepare=pause)
        if not command.reaches(place.mark.exists):
            raise RuntimeError(f"the run ended before its write {number}: {command.ended()}")
        return self._resumed(place, command, MOMENTS[2], f"write {number}")

    def kill_pack(self, name: str, number: int) -> Trial:
        """Kill `pack` before it puts the `number`-th of its files in place, then pack again."""
        place = self._place(name)
        shutil.copytree(self._place("packed").folder, place.folder, dirs_exist_ok=True)
        words = ("pack", *self.experiments, *self.options)
        command = place.start(*words, prepare=(pause_in_pack, number, place.mark))
        if not command.reaches(place.mark.exists):
            raise RuntimeError(f"nothing was packed: {command.ended()}")
        _kill(command)
        _require(place.finish(*words))
        # The packed part was computed by itself, and beside what was packed the rest.
        before = self._place("packed")
        expected = contents(before.packs) | contents(before.store)
        return Trial(MOMENTS[3], f"file {number}", len(expected), _n_wrong(place.packs, expected))

    def _resumed(self, place: Place, command, moment: str, detail: str) -> Trial:
        n_stored = place.n_stored()
        if not _kill(command):
            moment = "after the end"
        _require(place.finish("run", *self.experiments, *self.options))
        expected = contents(self._place("whole").store)
        return Trial(moment, detail, n_stored, _n_wrong(place.store, expected))

    def _place(self, name: str) -> Place:
        return Place(self.folder / name)


def drawn(
    kills: Kills, counts: dict[str, int], longest: float, n_results: int, seed: int
) -> Iterator[Trial]:
    """So many trials of each of `MOMENTS`, at moments drawn at random up to `longest` seconds."""
    draw, (start, stored, write, pack) = random.Random(seed), MOMENTS
    for number in range(counts[start]):
        yield kills.kill_run(f"start-{number}", 0, draw.uniform(0, longest / 4))
    done, number = 0, 0
    while done < counts[stored]:
        after, seconds = draw.randrange(1, n_results), draw.uniform(0, longest / 40)
        trial = kills.kill_run(f"stored-{number}", after, seconds)
        number += 1
        # A run that had ended before it could be killed is no trial.
        if trial.moment == stored:
            done += 1
            yield trial
    for number in range(counts[write]):
        yield kills.kill_write(f"write-{number}", draw.randrange(1, n_results))
    for number in range(counts[pack]):
        yield kills.kill_pack(f"pack-{number}", 2 + number % 2)


def _kill(command) -> bool:
    """Kill a command; whether it was still running."""
    command.send(signal.SIGKILL)
    return command.ended().status == -signal.SIGKILL


def _n_wrong(source, expected: dict) -> int:
    """How many results are missing, damaged or other than expected."""
    return len(different(contents(source), expected))


def _require(done: Ended) -> None:
    if done.status:
        raise RuntimeError(f"expected a command to end with status 0, got {done}")
