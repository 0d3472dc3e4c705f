"""Killed with SIGKILL and begun again: the undisturbed run's results, to the last bit.

`python -m benchmarks.faults` does the same at twenty moments drawn at random.
"""

import pytest

from tests.faults.kills import MOMENTS, Kills


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    options = ("--profile", "smoke")
    kills = Kills(
        tmp_path_factory.mktemp("kills"), ("second_position",), options, ("-p", "n_texts=1")
    )
    kills.prepare()
    return kills


@pytest.mark.parametrize(("after", "seconds"), [(0, 0.1), (1, 0), (6, 0.02)])
def test_a_run(kills, after, seconds):
    trial = kills.kill_run(f"run-{after}", after, seconds)
    assert trial.n_wrong == 0 and trial.n_stored >= after


@pytest.mark.parametrize("number", [1, 8])
def test_in_a_write(kills, number):
    trial = kills.kill_write(f"write-{number}", number)
    assert trial.moment == MOMENTS[2] and trial.n_wrong == 0 and trial.n_stored == number - 1


@pytest.mark.parametrize("number", [1, 2, 3])
def test_in_a_pack(kills, number):
    """Of which a part was packed before, and lies nowhere else."""
    trial = kills.kill_pack(f"pack-{number}", number)
    assert trial.n_wrong == 0 and trial.n_stored == 12
