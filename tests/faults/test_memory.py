"""Where memory runs short: a smaller batch if it helps, else one line that names what was asked."""

import argparse
import importlib

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.experiments.base import grid
from reproducer.experiments.profiles import load_params
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.results.store import Store
from reproducer.solver.slots import Slots


def specs():
    """Fits of one shape, whose first two share a batch."""
    fits = grid(load_params("arrangements", "smoke", lengths=(4,)), ["[e] [m]xN"])
    return [fit.model_copy(update={"dtype": "float32"}) for fit in fits]


def allocate():
    torch.empty(1 << 50)


def fail():
    raise MemoryError


@pytest.mark.parametrize("run_short", [allocate, fail])
def test_a_step_that_never_fits(monkeypatch, run_short):
    """The stepper fakes it: whatever the chunk, memory is short."""
    monkeypatch.setattr(Slots, "backward", lambda *_: run_short())
    asked = specs()
    with pytest.raises(ReproducerError) as told:
        compute(asked, progress=False)
    line = str(told.value)
    assert "\n" not in line
    assert "out of memory on cpu with one sequence of 5 inputs at a time, in a batch of 2" in line
    assert f"asked for: fit {asked[0].key[:12]} and 1 more on 'tiny' in float32" in line
    assert len(Store()) == 0


@pytest.mark.parametrize("run_short", [allocate, fail])
def test_a_step_that_fits_by_halves(monkeypatch, run_short):
    real = Slots.backward

    def small(self, decoder, dtype, chunk):
        if chunk > 1:
            run_short()
        return real(self, decoder, dtype, chunk)

    monkeypatch.setattr(Slots, "backward", small)
    assert [result.metrics["steps"] for result in compute(specs(), progress=False)] == [20, 20]


def test_slots_that_never_fit(monkeypatch):
    """Not in a step, so no smaller batch is tried."""
    monkeypatch.setattr(Slots, "empty", lambda *_: allocate())
    with pytest.raises(ReproducerError, match="out of memory; asked for: fit .* and 1 more on"):
        compute(specs(), progress=False)


def test_a_reading_that_does_not_fit(monkeypatch):
    from reproducer.readings.first_position import PositionSpec

    monkeypatch.setattr(PositionSpec, "run", lambda *_: allocate())
    asked = PositionSpec(model="tiny")
    with pytest.raises(
        ReproducerError, match=f"asked for: {asked.kind} {asked.key[:12]} on 'tiny'"
    ):
        compute([asked], progress=False)
    assert asked not in Known()


def test_halving_moves_results_by_rounding_alone():
    """As `benchmarks/RELIABILITY.md` says of the larger comparison."""
    halving = importlib.import_module("benchmarks.halving")
    asked = argparse.Namespace(model="tiny", steps=20, texts=2)
    found = halving.compared(halving.asked(asked), most=1)
    assert found["results"] == 36 and found["largest difference of loss, nats"] < 1e-4
    assert found["solved, then not"] == found["not solved, then solved"] == 0
