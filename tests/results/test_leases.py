"""Two runs on one store share its work, and none of it is lost with one of them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import run, wanted
from reproducer.results.known import Known
from reproducer.results.leases import Leases
from reproducer.results.run import compute, computing
from reproducer.results.specs import with_needs
from reproducer.results.store import Store
from tests.results.samples import raw, result, spec

# Computes the experiment that it is given, and prints the key of what it computed itself.
RUN = """
import sys
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import run
from reproducer.results.known import Known
from reproducer.results.run import cached_lm
from reproducer.results.store import Store

class Telling(Store):
    def put(self, *results):
        super().put(*results)
        print(*(result.key for result in results), sep="\\n", flush=True)

cached_lm("tiny")
print("ready", flush=True)
sys.stdin.readline()
run(load_params(sys.argv[1], "smoke"), Known(Telling()), progress=False)
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def rows(store):
    def of_table():
        with Leases(store) as leases, leases._writing() as connection:
            return connection.execute("SELECT key, pid FROM leases").fetchall()

    return of_table


def other(store, seconds=60.0):
    """The leases of another process, which lives as long as this one."""
    leases = Leases(store, seconds)
    leases.owner = leases.owner[0], os.getppid()
    return leases


def test_a_key_has_one_holder(store):
    with Leases(store) as ours, other(store) as theirs:
        assert ours.take("a") and not theirs.take("a") and theirs.take("b")
        theirs.give_back("a")  # not theirs to give
        assert not theirs.take("a")
        ours.give_back("a")
        assert theirs.take("a") and not ours.take("a")


def test_what_is_stored_is_not_taken(store):
    store.put(result(0))
    with Leases(store) as leases:
        assert not leases.take(spec(0).key) and leases.take(spec(1).key)


def test_a_process_never_waits_for_itself(tiny, store):
    """An iteration that was left in the middle may live on, in a traceback for one."""
    first = computing([spec(0), spec(1, 20)], Known(store), progress=False)
    next(first)
    assert len(compute([spec(0), spec(1, 20)], Known(store), progress=False)) == 2
    first.close()


def test_leaving_gives_back(store, rows):
    with pytest.raises(KeyError), Leases(store) as leases:
        leases.take("a")
        raise KeyError
    assert rows() == []


def test_a_lease_ends_with_its_process(store):
    """It would live for an hour, and its process has just ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with Leases(store) as ours, other(store, seconds=3600) as theirs:
        theirs.take("a")
        assert not ours.take("a")
        raw(store, "UPDATE leases SET pid = ?", ended.pid)
        assert ours.take("a")


def test_a_lease_of_another_machine_ends_by_expiry_alone(store):
    with Leases(store) as ours, other(store) as theirs:
        theirs.take("a")
        raw(store, "UPDATE leases SET host = 'elsewhere', pid = 0")
        assert not ours.take("a")
        raw(store, "UPDATE leases SET expires = ?", time.time() - 1)
        assert ours.take("a")


def test_a_lease_is_renewed_while_its_owner_lives(store):
    with Leases(store) as ours, other(store, seconds=0.6) as theirs:
        theirs.take("a")
        time.sleep(1.2)
        assert not ours.take("a")
        theirs._stop.set()
        ours.wait(["a"])
        assert ours.take("a")


def test_waiting_ends_with_the_first_key_that_is_free(store, monkeypatch):
    naps = []
    with Leases(store) as ours, other(store) as theirs:
        theirs.take("a"), theirs.take("b")

        def nap(seconds):
            naps.append(seconds)
            if len(naps) == 2:
                theirs.give_back("b")

        monkeypatch.setattr("reproducer.results.leases.time.sleep", nap)
        ours.wait(["a", "b"])
        assert len(naps) == 2 and ours.take("b")


def test_a_run_leaves_what_others_hold_and_takes_it_over_when_they_end(tiny, store, monkeypatch):
    specs = [spec(number) for number in range(3)]
    known = Known(store)
    with other(store) as theirs:
        theirs.take(specs[1].key)
        done = []
        for computed in computing(specs, known, progress=False):
            done.append(computed.key)
            if len(done) == 2:
                assert specs[1].key not in done
                theirs.give_back(specs[1].key)
    assert done[2:] == [specs[1].key]


def test_an_abandoned_run_gives_back(tiny, store, rows):
    for _ in computing([spec(0), spec(1, 20)], Known(store), progress=False):
        break
    assert rows() == []


def test_a_store_of_before_opens_as_ever(tiny, store):
    store.put(result(0))
    raw(store, "DROP TABLE IF EXISTS leases")
    assert len(compute([spec(0), spec(1)], Known(store), progress=False)) == 2


def test_a_store_that_cannot_be_written_is_read(tiny, store):
    first = compute([spec(0)], Known(store), progress=False)
    store.close()
    os.chmod(store.path, 0o444)
    os.chmod(store.folder, 0o555)
    try:
        assert compute([spec(0)], Known(Store(store.folder)), progress=False)[0].key == first[0].key
        if os.geteuid():
            with pytest.raises(ReproducerError, match="set REPRODUCER_STORE"):
                compute([spec(1)], Known(Store(store.folder)), progress=False)
    finally:
        os.chmod(store.folder, 0o755)


class Telling(Store):
    """A store that tells what was put into it."""

    def __init__(self):
        super().__init__()
        self.told = []

    def put(self, *results):
        super().put(*results)
        self.told += [result.key for result in results]


def started(experiment):
    """Another process, ready to compute an experiment when it is told to go on."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", RUN, experiment], env=environment, **pipes)
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    return process


def asked_for(params):
    """The keys of all that an experiment asks for, as they are stored if they are."""
    known = Known()
    return {known.settled(spec).key for spec in with_needs(wanted(params, known))}


@pytest.mark.slow
def test_two_runs_at_once_compute_nothing_twice(tiny):
    params = load_params("arrangements", "smoke")
    with started("arrangements") as other:
        ours = Telling()
        run(params, Known(ours), progress=False)
        theirs = other.communicate()[0].split()
    assert other.returncode == 0 and ours.told and theirs
    # Each result once, and all of them.
    assert sorted(ours.told + theirs) == sorted(Store().keys()) == sorted(asked_for(params))


@pytest.mark.slow
def test_what_a_killed_run_held_the_other_takes_over(tiny):
    params = load_params("sharing", "smoke")
    with started("sharing") as killed:
        killed.stdout.readline()  # it has stored a result, and fits others
        killed.send_signal(signal.SIGKILL)
    stored = set(Store().keys())
    ours = Telling()
    run(params, Known(ours), progress=False)
    assert 0 < len(stored) < len(asked_for(params)) == len(stored) + len(ours.told)
