"""Twenty kills −9 of a real run, each resumed: is anything lost or different?

`python -m benchmarks.faults [--seed 0] [--folder FOLDER]` kills runs of four experiments under the
profile `smoke`: 5 before anything is stored, 10 after something was, 3 inside a write, and 2 inside
a pack, and prints a line for each: how many results differ from the undisturbed run's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.kills import MOMENTS, Kills, Trial, drawn

EXPERIMENTS = ("second_position", "capacity", "noise", "attention")
OPTIONS = ("--profile", "smoke")
COUNTS = dict(zip(MOMENTS, (5, 10, 3, 2), strict=True))


def run(folder: Path, seed: int) -> Iterator[Trial]:
    """All trials of a run of `EXPERIMENTS`."""
    kills = Kills(folder, EXPERIMENTS, OPTIONS, ("-p", "n_texts=1"))
    begun = time.monotonic()
    kills.prepare()
    whole = kills.n_results()
    print(f"undisturbed: {whole} results", flush=True)
    yield from drawn(kills, COUNTS, (time.monotonic() - begun) / 3, whole, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    n_sound = n_trials = 0
    with tempfile.TemporaryDirectory() as scratch:
        for trial in run(given.folder or Path(scratch), given.seed):
            n_trials, n_sound = n_trials + 1, n_sound + (not trial.n_wrong)
            print(
                f"{n_trials:2} {trial.moment:26} {trial.detail:18} stored {trial.n_stored:3}, "
                f"wrong after resuming {trial.n_wrong}",
                flush=True,
            )
    print(f"{n_sound} of {n_trials} kills left no trace")


if __name__ == "__main__":
    main()
