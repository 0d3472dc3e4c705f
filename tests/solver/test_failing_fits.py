"""Fits whose state or loss is no number: they end early and keep their best."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from reproducer.results.run import result_of
from reproducer.results.solutions import accuracies
from reproducer.results.store import Store
from reproducer.solver import slots as slots_module
from reproducer.solver.recipes import Recipe
from tests.solver.fits import fit_specs, solve_all


def test_a_rate_that_overflows_ends_the_fit_at_the_first_check(tiny):
    """The start is the only state with a finite loss: it is what is kept."""
    recipe = Recipe(name="x", lr=1e38, max_steps=200)
    problems = [spec.problem(tiny) for spec in fit_specs(tiny, 3, recipe=recipe)]
    solutions = solve_all(tiny, problems, recipe, trace=True, max_inputs=10)
    for problem, solution in zip(problems, solutions, strict=True):
        assert (solution.failed_at, solution.steps, solution.solved) == (10, 10, False)
        assert torch.equal(solution.rows, problem.rows)
        assert solution.nats.isfinite().all()
        first, *rest = solution.trace["loss_nats"].tolist()
        assert first == pytest.approx(solution.nats.mean().item(), rel=1e-3)
        assert not all(map(math.isfinite, rest))


@pytest.mark.parametrize("max_steps", [1, 10, 20])
def test_a_state_that_is_not_finite_never_goes_on(tiny, max_steps):
    """At this rate the first step leaves no number, while its own loss is still one."""
    recipe = Recipe(name="x", lr=1e38, max_steps=max_steps)
    (spec,) = fit_specs(tiny, n_texts=1, recipe=recipe)
    (solution,) = solve_all(tiny, [spec.problem(tiny)], recipe)
    assert solution.failed_at == min(max_steps, 10) and not solution.solved
    assert solution.rows.isfinite().all() and solution.nats.isfinite().all()
    stored = result_of(spec, solution, {})
    assert stored.metrics["goes_on"] is False
    assert not any(name.startswith("end_") for name in stored.arrays)


def test_a_loss_that_is_no_number_is_no_accuracy(nan_lm, tmp_path):
    (spec,) = fit_specs(nan_lm, n_texts=1)
    (solution,) = solve_all(nan_lm, [spec.problem(nan_lm)])
    result = result_of(spec, solution, {})
    assert result.metrics["accuracy"] == result.metrics["loss_nats"] == [None]
    assert (result.metrics["failed_at"], result.metrics["solved"]) == (10, False)
    store = Store(tmp_path)
    store.put(result)
    assert store.get(spec.key).metrics == result.metrics
    assert accuracies(result) == [0.0]
    # As it was stored before.
    earlier = replace(result, metrics=result.metrics | {"accuracy": [0.0]})
    store.put(earlier)
    assert store.get(spec.key).metrics == earlier.metrics
    store.put(replace(result, metrics=result.metrics | {"accuracy": [0.5]}))
    assert store.get(spec.key) is None


def test_a_mixture_whose_loss_overflows_keeps_its_last_finite_state(tiny):
    recipe = Recipe(name="x", lr=1e38, max_steps=200)
    base = fit_specs(tiny, 1, recipe=recipe)[0].problem(tiny)
    mixed = replace(base, mixture=torch.eye(2).expand(recipe.max_steps, 2, 2))
    (solution,) = solve_all(tiny, [mixed], recipe)
    assert (solution.failed_at, solution.solved) == (10, False)
    assert torch.equal(solution.rows, base.rows)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_that_is_not_finite_is_never_right(tiny, dtype):
    """Word 0 is what the argmax of NaN alone gives; neighbours in the batch notice nothing."""
    lm = tiny.in_dtype(dtype)
    problems = [spec.problem(lm) for spec in fit_specs(lm, 3)]
    alone = solve_all(lm, [problems[0], problems[2]])
    problems[1].rows[0, 5] = math.nan
    problems[1].targets[:] = 0
    before, planted, after = solve_all(lm, problems)
    assert (planted.failed_at, planted.steps, planted.solved) == (10, 10, False)
    assert not planted.correct.any() and planted.accuracy.item() == 0
    assert torch.equal(planted.rows.isnan(), problems[1].rows.isnan())
    for a, b in zip(alone, (before, after), strict=True):
        assert b.failed_at is None and a.steps == b.steps
        torch.testing.assert_close(a.rows, b.rows, rtol=2e-2, atol=2e-2)


def test_a_fit_that_fails_late_keeps_its_best_state(tiny, monkeypatch):
    """Gradients that overflow after 23 steps: the best of these steps stays."""
    recipe = Recipe(name="x", lr=0.05, max_steps=200)
    problem = fit_specs(tiny, 1, recipe=recipe)[0].problem(tiny)
    short = recipe.model_copy(update={"max_steps": 24})
    (expected,) = solve_all(tiny, [problem], short)
    real, steps = slots_module.adamw_step, itertools.count(1)

    def overflow(rows, *rest):
        real(rows, *rest)
        if next(steps) == 24:
            rows.fill_(math.inf)

    monkeypatch.setattr(slots_module, "adamw_step", overflow)
    (solution,) = solve_all(tiny, [problem], recipe)
    assert (solution.failed_at, solution.steps, solution.solved) == (30, 30, False)
    assert torch.equal(solution.rows, expected.rows)
    assert torch.equal(solution.correct, expected.correct)


def test_what_was_solved_before_the_loss_overflowed_is_solved(tiny, monkeypatch):
    recipe = Recipe(name="x", lr=0.1, max_steps=200, stop_accuracy=0.5)
    problem = fit_specs(tiny, 9, recipe=recipe)[0].problem(tiny)
    (expected,) = solve_all(tiny, [problem], recipe, trace=True)
    reached = int((expected.trace["accuracy"] >= 0.5).nonzero()[0]) + 1
    assert expected.solved and reached % 10 not in (0, 9)
    real, steps = slots_module.adamw_step, itertools.count(1)

    def overflow(rows, *rest):
        real(rows, *rest)
        if next(steps) == reached:
            rows.fill_(math.nan)

    monkeypatch.setattr(slots_module, "adamw_step", overflow)
    (solution,) = solve_all(tiny, [problem], recipe)
    assert solution.solved and solution.failed_at is None
    assert torch.equal(solution.rows, expected.rows)


def test_a_refilled_slot_does_not_inherit_a_failure(tiny):
    problems = [spec.problem(tiny) for spec in fit_specs(tiny, 4)]
    problems[0].rows[:] = math.inf
    solutions = solve_all(tiny, problems, max_inputs=5)
    assert [s.failed_at for s in solutions] == [10, None, None, None]
