"""Results do not hang on the clock: one that is wrong, or jumps, only dates them."""

import datetime
import itertools
import time
from types import SimpleNamespace

import pytest
import tqdm.std

from reproducer.results import provenance
from tests.faults.processes import Place, contents, different

RUN = ("run", "second_position", "--profile", "smoke")
CLOCKS = {"back": (-(10**9),), "forward": (10**9,), "both in turn": (10**9, -(10**9))}


def set_clock(*offsets: int) -> None:
    """Let every reading of the clock be off by the next of `offsets` seconds."""
    off, real = itertools.cycle(offsets), time.time

    def now(zone=None):
        return datetime.datetime.fromtimestamp(time.time(), zone)

    time.time = tqdm.std.time = lambda: real() + next(off)
    fake = SimpleNamespace(now=now)
    provenance.datetime = SimpleNamespace(datetime=fake, UTC=datetime.UTC)


def years(store):
    return {store.get(key, arrays=False).provenance["date"][:4] for key in store.keys()}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_that_was_set(tmp_path, clock):
    plain, odd = Place(tmp_path / "plain"), Place(tmp_path / "odd")
    assert plain.finish(*RUN).status == 0
    # Half under the one clock, the rest under the right one.
    half = (*RUN, "-p", "lengths=[2]")
    assert odd.finish(*half, prepare=(set_clock, *CLOCKS[clock])).status == 0
    assert years(odd.store).isdisjoint(years(plain.store))
    done = odd.finish(*RUN)
    assert done.status == 0 and "damaged" not in done.err
    assert not different(contents(odd.store), contents(plain.store))
