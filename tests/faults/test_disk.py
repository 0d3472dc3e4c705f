"""A disk that fills up under way costs one line and nothing that was stored."""

import re
import resource
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.pauses import pause_in_put
from tests.faults.processes import Place, contents, different, same

SMOKE = ("--profile", "smoke")
RUN = ("run", "second_position", *SMOKE)
PACK = ("pack", "second_position", *SMOKE)
N_RESULTS = 12
PROGRESS = re.compile(r"\s*\d+ of \d+ (fits|readings)")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an undisturbed run gives."""
    place = Place(tmp_path_factory.mktemp("whole"))
    assert place.finish(*RUN).status == 0 and place.n_stored() == N_RESULTS
    return contents(place.store)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def mounted():
    """Mounts a small disk at a folder."""
    folders = []

    def mount(folder: Path, size: str):
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        folders.append(folder)

    yield mount
    for folder in folders:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond `size` bytes, as `ulimit -f` does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def error_of(done):
    """The one line of a command that failed, beside those on its progress."""
    lines = [line for line in done.err.splitlines() if line and not PROGRESS.match(line)]
    assert done.status == 2 and len(lines) == 1, done
    return lines[0]


def resumes(place, whole):
    """What is stored is sound, and the same command completes it."""
    stored = contents(place.store)
    assert stored.keys() <= whole.keys() and all(same(whole[k], r) for k, r in stored.items())
    assert place.finish(*RUN).status == 0 and not different(contents(place.store), whole)
    return len(stored)


@pytest.mark.parametrize("size", [128 << 10])
def test_a_file_that_may_not_grow(place, whole, size):
    line = error_of(place.finish(*RUN, prepare=(limit_files, size)))
    assert line.startswith("error: cannot use the result store")
    assert "set REPRODUCER_STORE to a folder that can be used" in line
    assert 0 < resumes(place, whole) < N_RESULTS


def test_a_full_disk_in_the_middle_of_a_write(place, whole, mounted):
    """It fills after the row is written and before it is committed."""
    mounted(place.folder / "store", "80m")
    command = place.start(*RUN, prepare=(pause_in_put, 4, place.mark))
    assert command.reaches(place.mark.exists)
    filler = place.folder / "store" / "filler"
    with pytest.raises(OSError, match="No space left"), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    place.mark.unlink()
    assert "cannot use the result store" in error_of(command.ended())
    filler.unlink()
    assert resumes(place, whole) == 3


def test_a_pack_on_a_full_disk(place, mounted):
    """What could not be written leaves nothing behind."""
    assert place.finish(*RUN).status == 0
    mounted(place.folder / "packs", "16k")
    line = error_of(place.finish(*PACK))
    assert "cannot write the pack 'second_position-smoke'" in line
    assert not list((place.folder / "packs").iterdir())


def test_a_result_that_differs_by_more_than_rounding_is_told(whole):
    key, sound = next((k, r) for k, r in whole.items() if "rows" in r.arrays)

    def with_array(name, values):
        return {**whole, key: replace(sound, arrays={**sound.arrays, name: values})}

    rows, correct = sound.arrays["rows"], sound.arrays["correct"]
    assert not different(with_array("rows", rows * (1 + 1e-6)), whole)
    assert different(with_array("rows", rows * 1.01), whole) == [key]
    assert different(with_array("correct", ~correct), whole) == [key]
    slower = replace(sound, metrics={**sound.metrics, "seconds": 1e9})
    assert not different({**whole, key: slower}, whole)
    other = replace(sound, metrics={**sound.metrics, "steps": 1})
    assert different({**whole, key: other}, whole) == [key]
    assert different({k: r for k, r in whole.items() if k != key}, whole) == [key]
    assert different({**whole, "more": sound}, whole) == ["more"]
