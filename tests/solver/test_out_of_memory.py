"""When memory runs out, fewer sequences go through at a time, and nothing else changes."""

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.solver import slots as slots_module
from reproducer.solver import solve as solve_module
from tests.solver.fits import fit_specs, solve_all


def test_one_sequence_too_many_for_the_memory_is_a_clear_error(tiny, monkeypatch):
    def full(*arguments, **options):
        raise torch.OutOfMemoryError("device full")

    monkeypatch.setattr(slots_module, "run_model", full)
    with pytest.raises(ReproducerError, match="out of memory on cpu with one sequence of 5"):
        solve_all(tiny, [fit_specs(tiny, 1)[0].problem(tiny)])


def allocate_too_much():
    torch.empty(1 << 50)


def raise_memory_error():
    raise MemoryError


def raise_device_full():
    raise torch.OutOfMemoryError("device full")


@pytest.mark.parametrize("run_short", [raise_device_full, allocate_too_much, raise_memory_error])
def test_out_of_memory_halves_the_chunk_and_changes_nothing(tiny, monkeypatch, run_short):
    problems = [spec.problem(tiny) for spec in fit_specs(tiny)]
    plain = solve_all(tiny, problems)
    real, seen = slots_module.run_model, []

    def small_machine(decoder, dtype, table, slots, chunk, train):
        seen.append(chunk)
        if chunk > 3:
            run_short()
        return real(decoder, dtype, table, slots, chunk, train)

    monkeypatch.setattr(slots_module, "run_model", small_machine)
    halved = solve_all(tiny, problems)
    assert max(seen) > 3 and seen[-1] <= 3
    for a, b in zip(plain, halved, strict=True):
        assert torch.equal(a.correct, b.correct)
        torch.testing.assert_close(a.rows, b.rows, rtol=2e-3, atol=2e-3)


def test_measuring_halves_the_chunk_too(tiny, monkeypatch):
    problems = [spec.problem(tiny) for spec in fit_specs(tiny, 3)]
    plain = solve_all(tiny, problems)
    real = solve_module.run_model

    def small_machine(decoder, dtype, table, slots, chunk, train):
        if chunk > 1:
            raise_memory_error()
        return real(decoder, dtype, table, slots, chunk, train)

    monkeypatch.setattr(solve_module, "run_model", small_machine)
    for a, b in zip(plain, solve_all(tiny, problems), strict=True):
        assert torch.equal(a.correct, b.correct)


def test_another_error_is_not_taken_for_a_lack_of_memory(tiny, monkeypatch):
    calls = []

    def broken(*arguments, **options):
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(slots_module, "run_model", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        solve_all(tiny, [fit_specs(tiny, 1)[0].problem(tiny)])
    assert len(calls) == 1
