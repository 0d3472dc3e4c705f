"""The store: what was written or nothing, whatever happened to the file in between."""

import multiprocessing
import signal
import subprocess
import sys
import time

import pytest

from reproducer.errors import ReproducerError
from reproducer.results.store import Store
from tests.results.samples import result, same, spec


def test_round_trip(store):
    again = Store(store.folder)
    assert same(again.get(result(0).key), result(0)) and same(again.get(result(1).key), result(1))
    assert list(again.keys()) == sorted([result(0).key, result(1).key]) and len(again) == 2
    facts = again.get(result(0).key, arrays=False)
    assert facts.metrics == result(0).metrics and facts.arrays == {}
    assert again.get(spec(2).key) is None and spec(2).key not in again
    assert again.digest(result(0).key) != again.digest(result(1).key)


def test_a_folder_without_a_file_is_empty(tmp_path):
    empty = Store(tmp_path / "none")
    assert empty.get("0" * 64) is None and list(empty.keys()) == [] and len(empty) == 0
    assert empty.digest("0" * 64) is None and empty.smaller_budget("x", 9) is None
    assert not (tmp_path / "none").exists()


def test_the_last_writer_wins(store):
    other = result(0, provenance={**result(0).provenance, "device": "another"})
    store.put(other)
    assert same(store.get(other.key), other) and len(store) == 2


def test_a_key_that_is_not_its_specs_is_not_written(store):
    wrong = result(0)
    wrong.spec["seed"] = 5
    with pytest.raises(ValueError, match="expected the key of the spec"):
        store.put(wrong)
    with pytest.raises(ValueError, match="JSON compliant"):
        store.put(result(0, metrics={"loss_nats": [float("nan")]}))


WRITER = """
import sys
from pathlib import Path
from reproducer.results.store import Store
from tests.results.samples import result
store, first, last = Store(Path(sys.argv[1])), *map(int, sys.argv[2:])
for number in range(first, last):
    store.put(result(number))
    print(number, flush=True)
"""


def writer(folder, first, last):
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writers_at_the_same_time(tmp_path):
    """Beginning with the making of the file."""
    writers = [writer(tmp_path, first, first + 40) for first in (0, 20, 100, 120)]
    for process in writers:
        process.communicate(timeout=100)
    assert [process.returncode for process in writers] == [0] * 4
    store = Store(tmp_path)
    assert len(store) == 120
    assert all(same(store.get(result(n).key), result(n)) for n in (*range(60), *range(100, 160)))


def opens(folder, how, together, problems):
    """Open and close stores under `folder` that others make, read and close at the same time."""
    for place in range(50):
        together.wait(timeout=60)
        for _ in range(20):
            store = Store(folder / str(place), read_only=how == "look")
            try:
                store.require_writable() if how == "write" else len(store)
            except ReproducerError as error:
                problems.put(f"{how}: {error}")
                return together.abort()
            store.close()


def test_a_store_opens_while_others_make_and_close_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    hows = ("write", "read", "read", "look")
    together, problems = context.Barrier(len(hows)), context.SimpleQueue()
    openers = [
        context.Process(target=opens, args=(tmp_path, how, together, problems)) for how in hows
    ]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(timeout=100)
    assert [opener.exitcode for opener in openers] == [0] * len(hows)
    assert problems.empty(), problems.get()


@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_kill_keeps_what_put_returned_from(tmp_path, after):
    process = writer(tmp_path, 0, 10_000)
    told = [int(process.stdout.readline()) for _ in range(after)]
    time.sleep(0.003 * after)
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    store = Store(tmp_path)
    assert told == list(range(len(told))) and len(told) < 10_000
    assert all(same(store.get(result(n).key), result(n)) for n in told)
    assert len(told) <= len(store) <= len(told) + 1
    store.put(result(20_000))
    assert same(store.get(result(20_000).key), result(20_000))
