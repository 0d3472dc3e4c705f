"""A command that is asked to stop says what is stored, and with which status it ended."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import pytest

from reproducer.app import book
from reproducer.paths import ROOT
from tests.faults.pauses import pause_in_pack, pause_in_put
from tests.faults.processes import Ended, Place

SMOKE = ("--profile", "smoke")
RUN = ("run", "second_position", *SMOKE)
N_RESULTS = 12
ENDINGS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
both = pytest.mark.parametrize("number", ENDINGS)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def told(place, done, number):
    """Check how a command ended; returns how many results it said to be stored."""
    status, word = ENDINGS[number]
    assert done.status == status, done.err
    assert "Traceback" not in done.err
    last = done.err.strip().splitlines()[-1]
    start, _, end = last.partition(f" results are stored in {place.store.path}")
    assert start.startswith(f"{word}: ") and end == "; the same command goes on from there"
    return int(start.split()[-1])


@both
def test_what_had_ended_is_stored_and_the_same_command_goes_on(place, number):
    """The signal comes inside the first write, when several fits of the batch have ended."""
    command = place.start(*RUN, prepare=(pause_in_put, 1, place.mark))
    assert command.reaches(place.mark.exists) and place.n_stored() == 0
    command.send(number)
    time.sleep(0.2)
    assert command.running
    place.mark.unlink()
    n_stored = told(place, command.ended(), number)
    assert 1 < n_stored == place.n_stored() < N_RESULTS
    assert f"second_position: {N_RESULTS} rows" in place.finish(*RUN).out
    assert place.n_stored() == N_RESULTS


def test_a_second_signal_does_not_wait(place):
    command = place.start(*RUN, prepare=(pause_in_put, 2, place.mark))
    assert command.reaches(place.mark.exists)
    command.send(signal.SIGINT)
    time.sleep(0.2)
    command.send(signal.SIGINT)
    assert told(place, command.ended(), signal.SIGINT) == place.n_stored() == 1


@both
def test_in_the_middle_of_fits(place, number):
    """As it is typed: nothing is imported or prepared."""
    words = (*RUN, "-p", "max_steps=100000", "-p", "lengths=[2]")
    process = subprocess.Popen(
        [sys.executable, "-m", "reproducer", *words],
        env=os.environ | place.environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (place.folder / "store").exists() and process.poll() is None:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=100)
    assert told(place, Ended(process.returncode, "", err), number) == place.n_stored()


SCRIPT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["reproduce"]
BEGUN_AS = {
    "module": "import runpy; runpy.run_module('reproducer', run_name='__main__')",
    "script": f"from {SCRIPT.replace(':', ' import ')} as begin; begin()",
}


@pytest.mark.parametrize("way", BEGUN_AS)
def test_while_it_is_imported(way):
    """Ctrl-C comes inside an import of the command's own modules."""
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.addaudithook(lambda event, given: event == 'import' and given[0] == 'typer'\n"
        "    and os.kill(os.getpid(), signal.SIGINT))\n"
        f"sys.argv = ['reproduce', '--help']\n{BEGUN_AS[way]}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted: nothing was begun\n"


@both
def test_a_text(place, number, tmp_path):
    (tmp_path / "text.txt").write_text("The ferry left the quay an hour late, and nobody minded.")
    options = ("--model", "tiny", "--tokens", "40", "--steps", "100000", "--seeds", "2")
    command = place.start("text", str(tmp_path / "text.txt"), *options)
    assert command.reaches((place.folder / "store").exists)
    command.send(number)
    assert told(place, command.ended(), number) == 0


@both
def test_a_pack(place, number):
    """The signal comes before the second of three files is put in place: all three are."""
    assert place.finish(*RUN, "-p", "lengths=[2]").status == 0
    words = ("pack", "second_position", *SMOKE)
    command = place.start(*words, prepare=(pause_in_pack, 2, place.mark))
    assert command.reaches(place.mark.exists)
    command.send(number)
    time.sleep(0.2)
    place.mark.unlink()
    assert told(place, command.ended(), number) == len(place.packs) == N_RESULTS / 2
    assert not list((place.folder / "packs").glob("*.tmp"))


def build_in(folder):
    """Let the command build the book of `folder`: another test may build the repository's."""
    book.build_book = functools.partial(book.build_book, book=folder)


@both
def test_a_book_ends_with_its_kernel(place, number, tmp_path):
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "_toc.yml", tmp_path / "book")
    words = ("book", "second_position", *SMOKE)
    command = place.start(*words, prepare=(build_in, tmp_path / "book"))
    assert command.reaches(place.n_stored)
    command.send(number)
    assert told(place, command.ended(), number) >= 1
    assert not kernels_of(command.process.pid)


def kernels_of(pid):
    """The notebook kernels that a process started and that are still there."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if f"JPY_PARENT_PID={pid}\0".encode() in file.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found
