"""The solver against single fits, plain autograd and the library's own forward pass."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from reproducer.errors import ReproducerError
from reproducer.results.fits import FitSpec
from reproducer.solver import solve as solve_module
from reproducer.solver.arrangements import ARRANGEMENTS
from reproducer.solver.problem import Penalty, Problem
from reproducer.solver.recipes import Recipe
from reproducer.solver.slots import Slots
from reproducer.solver.solve import Solution, solve
from reproducer.texts.sources import load_texts
from tests.decoder.test_head import Watch
from tests.solver.fits import RECIPE, fit_specs, solve_all


def obvious_fit(lm, problem, recipe):
    """One problem, the library's model, full logits, torch's AdamW, best measured state."""
    rows = problem.rows.clone().requires_grad_()
    optimizer = torch.optim.AdamW(
        [rows], lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, weight_decay=recipe.weight_decay
    )
    best = (-1, -torch.inf, None)
    n_tokens = problem.targets.shape[1]
    for _ in range(recipe.max_steps):
        table = rows if problem.frozen is None else torch.cat([rows, problem.frozen])
        logits = lm.hf(inputs_embeds=table[problem.index]).logits
        logits = logits[:, problem.offset : problem.offset + n_tokens]
        nats = F.cross_entropy(logits.mT, problem.targets, reduction="none")
        correct = int((logits.argmax(-1) == problem.targets).sum())
        now = (correct, -nats.detach().mean().item())
        if now > best[:2]:
            best = (*now, rows.detach().clone())
        optimizer.zero_grad()
        nats.mean(1).sum().backward()
        optimizer.step()
    return best


@pytest.mark.parametrize("name", sorted(ARRANGEMENTS))
def test_equals_the_obvious_loop(tiny, name):
    recipe = Recipe(name="x", lr=0.02, max_steps=30)
    (spec,) = fit_specs(tiny, n_texts=1, arrangement=name, recipe=recipe)
    problem = spec.problem(tiny)
    (ours,) = solve_all(tiny, [problem], recipe)
    correct, minus_nats, rows = obvious_fit(tiny, problem, recipe)
    assert int(ours.correct.sum()) == correct
    assert ours.nats.mean().item() == pytest.approx(-minus_nats, rel=1e-3)
    torch.testing.assert_close(ours.rows, rows, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("max_inputs", [5, 10, 1000])
def test_a_batch_of_six_equals_six_single_fits(tiny, max_inputs):
    problems = [spec.problem(tiny) for spec in fit_specs(tiny)]
    together = solve_all(tiny, problems, max_inputs=max_inputs)
    alone = [solve_all(tiny, [problem])[0] for problem in problems]
    for a, b in zip(together, alone, strict=True):
        assert (a.steps, a.solved) == (b.steps, b.solved)
        assert torch.equal(a.correct, b.correct)
        torch.testing.assert_close(a.rows, b.rows, rtol=2e-3, atol=2e-3)


def test_slots_are_refilled_when_problems_finish_at_different_times(tiny):
    recipe = Recipe(name="x", lr=0.1, max_steps=200, stop_accuracy=0.5)
    problems = [spec.problem(tiny) for spec in fit_specs(tiny, n_texts=9, recipe=recipe)]
    solutions = list(solve(tiny, problems, recipe, max_inputs=15))
    assert sorted(number for number, _ in solutions) == list(range(9))
    steps = {solution.steps for _, solution in solutions}
    assert len(steps) > 1 and all(s % 10 == 0 for s in steps)
    assert all(s.solved == (s.accuracy.item() >= 0.5) for _, s in solutions)


def test_without_a_stopping_accuracy_a_fit_goes_on_to_its_last_step(tiny):
    ends = Recipe(name="x", lr=0.1, max_steps=200, stop_accuracy=0.5)
    goes_on = ends.model_copy(update={"stop_accuracy": None})
    problems = [spec.problem(tiny) for spec in fit_specs(tiny, n_texts=3, recipe=ends)]
    early, late = (solve_all(tiny, problems, recipe, trace=True) for recipe in (ends, goes_on))
    assert any(solution.solved and solution.steps < 200 for solution in early)
    for short, long in zip(early, late, strict=True):
        assert long.steps == 200 and not long.solved
        assert long.accuracy >= short.accuracy
        # The same steps, as far as the one went.
        traces = (s.trace["loss_nats"][: min(short.steps, 50)] for s in (short, long))
        torch.testing.assert_close(*traces, rtol=1e-2, atol=1e-2)


def test_problems_of_several_shapes_share_a_call(tiny):
    problems = [s.problem(tiny) for n in (2, 4) for s in fit_specs(tiny, 2, n)]
    solutions = solve_all(tiny, problems)
    assert [s.correct.shape[1] for s in solutions] == [2, 2, 4, 4]


def test_gradient_of_shared_row_is_the_sum_of_separate_gradients(tiny):
    texts = tuple(t.prefix(4) for t in load_texts("unseen", "tiny", 3, 4))
    fields = {"model": "tiny", "arrangement": "[e] [m]xN", "recipe": RECIPE}
    shared = FitSpec(texts=texts, share="m", **fields).problem(tiny)

    def gradient(problem):
        slots = Slots.empty(1, problem, RECIPE, tiny.device)
        slots.admit(0, problem)
        return slots.backward(tiny.decoder(), torch.float32, chunk=2)[0][0]

    ours = gradient(shared)
    parts = []
    for s, text in enumerate(texts):
        single = FitSpec(texts=(text,), **fields).problem(tiny)
        rows = torch.stack([shared.rows[s], shared.rows[-1]])
        parts.append(gradient(Problem(rows, single.index, single.targets, single.offset)))
    expected = torch.stack([p[0] for p in parts] + [sum(p[1] for p in parts)])
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


def test_frozen_rows_are_read_and_never_moved(tiny):
    recipe = Recipe(name="x", lr=0.02, max_steps=20)
    draw = torch.Generator().manual_seed(3)
    problem = Problem(
        rows=torch.randn(1, tiny.d_model, generator=draw),
        index=torch.tensor([[0, 1, 2]]),
        targets=torch.tensor([[5, 6, 7]]),
        frozen=torch.randn(2, tiny.d_model, generator=draw),
    )
    (ours,) = solve_all(tiny, [problem], recipe)
    correct, _, rows = obvious_fit(tiny, problem, recipe)
    assert int(ours.correct.sum()) == correct
    torch.testing.assert_close(ours.rows, rows, rtol=5e-3, atol=5e-3)


def test_mixture_feeds_the_point_of_each_step(tiny):
    """A mixture that picks the first row, whatever the step, is an ordinary problem."""
    recipe = Recipe(name="x", lr=0.02, max_steps=20)
    base = fit_specs(tiny, 1, recipe=recipe)[0].problem(tiny)
    identity = torch.eye(2).expand(recipe.max_steps, 2, 2)
    mixed = Problem(base.rows, base.index, base.targets, base.offset, mixture=identity)
    (ours,) = solve_all(tiny, [mixed], recipe)
    rows = base.rows.clone().requires_grad_()
    optimizer = torch.optim.AdamW([rows], lr=0.02, betas=(0.9, 0.9), weight_decay=0.01)
    for _step in range(recipe.max_steps):
        last = rows.detach().clone()
        logits = tiny.hf(inputs_embeds=rows[base.index]).logits[:, 1:]
        optimizer.zero_grad()
        F.cross_entropy(logits.mT, base.targets).backward()
        optimizer.step()
    assert ours.steps == recipe.max_steps
    torch.testing.assert_close(ours.rows, last, rtol=5e-3, atol=5e-3)


def test_penalty_enters_the_gradient(tiny):
    text = load_texts("unseen", "tiny", 1, 4)[0].prefix(4)
    draw = torch.Generator().manual_seed(0)
    teacher = torch.randn(1, tiny.d_model, generator=draw)
    spec = FitSpec(model="tiny", arrangement="[e] [m]xN", recipe=RECIPE, texts=(text,))
    gradients = []
    for penalty in (Penalty("anchor", 0.5, teacher), None):
        problem = replace(spec.problem(tiny), penalty=penalty)
        slots = Slots.empty(1, problem, RECIPE, tiny.device)
        slots.admit(0, problem)
        gradients.append(slots.backward(tiny.decoder(), torch.float32, chunk=9)[0][0])
    e = problem.rows[:1].clone().requires_grad_()
    (0.5 * (1 - F.cosine_similarity(e, teacher)).sum()).backward()
    torch.testing.assert_close(gradients[0][:1] - gradients[1][:1], e.grad, rtol=1e-3, atol=1e-6)


def test_reported_accuracy_is_that_of_a_plain_forward_pass(tiny):
    for spec in fit_specs(tiny, 3):
        problem = spec.problem(tiny)
        (solution,) = solve_all(tiny, [problem])
        logits = tiny.hf(inputs_embeds=solution.rows[problem.index]).logits[:, problem.offset :]
        assert torch.equal(logits.argmax(-1) == problem.targets, solution.correct)
        nats = F.cross_entropy(logits.mT, problem.targets, reduction="none")
        torch.testing.assert_close(solution.nats, nats, rtol=1e-4, atol=1e-4)


def test_trace_has_every_step_and_its_best_is_reported(tiny):
    problem = fit_specs(tiny, 1)[0].problem(tiny)
    (solution,) = solve_all(tiny, [problem], trace=True)
    accuracy = solution.trace["accuracy"]
    assert len(accuracy) == solution.steps
    assert solution.accuracy.item() == pytest.approx(accuracy.max().item())
    at_best = solution.trace["loss_nats"][accuracy == accuracy.max()]
    assert solution.nats.mean().item() == pytest.approx(at_best.min().item(), rel=1e-3)


def test_a_stuck_fit_begins_again_and_keeps_its_best(tiny):
    """A rate of nearly zero is stuck for certain: every attempt measures its own start."""
    recipe = Recipe(name="x", lr=1e-9, max_steps=40, restart_every=10, restart_below=1.0)
    problems = [s.problem(tiny) for s in fit_specs(tiny, 5, recipe=recipe)]
    assert all(p.restarts.shape == (4, *p.rows.shape) for p in problems)
    for problem, solution in zip(problems, solve_all(tiny, problems, recipe), strict=True):
        assert solution.steps == 40
        starts = [problem.rows, *problem.restarts[:3]]
        logits = [tiny.hf(inputs_embeds=s[problem.index]).logits[:, 1:] for s in starts]
        scores = [
            (int((z.argmax(-1) == problem.targets).sum()), -F.cross_entropy(z.mT, problem.targets))
            for z in logits
        ]
        best = max(range(4), key=lambda i: scores[i])
        torch.testing.assert_close(solution.rows, starts[best], rtol=1e-4, atol=1e-4)


def test_only_fits_that_do_not_rise_are_restarted(tiny):
    plain = Recipe(name="x", lr=0.1, max_steps=30)
    patient = plain.model_copy(update={"restart_every": 10, "restart_below": 0.2})
    problems = [s.problem(tiny) for s in fit_specs(tiny, 9, recipe=patient)]
    without = solve_all(tiny, problems, plain, trace=True)
    rising = [s.trace["accuracy"][:10].max() >= 0.2 for s in without]
    assert any(rising) and not all(rising)
    for rises, a, b in zip(rising, without, solve_all(tiny, problems, patient), strict=True):
        assert torch.equal(a.rows, b.rows) or not rises


def test_seconds_cover_every_step(tiny, monkeypatch):
    """With a clock that counts its readings, each of the two checks takes one second."""
    ticks = itertools.count()
    monkeypatch.setattr(solve_module.time, "perf_counter", lambda: float(next(ticks)))
    recipe = Recipe(name="x", lr=1e-9, max_steps=20)
    (solution,) = solve_all(tiny, [fit_specs(tiny, 1)[0].problem(tiny)], recipe)
    assert (solution.steps, solution.seconds) == (20, 2.0)


def test_more_inputs_than_positions(tiny):
    text = load_texts("random", "tiny", 1, 256)[0]
    spec = FitSpec(model="tiny", arrangement="[e] [m]xN", texts=(text.prefix(256),), recipe=RECIPE)
    with pytest.raises(ReproducerError, match="at most its 256 positions, got 257"):
        spec.problem(tiny)


def test_right_in_bfloat16_only_is_not_solved():
    """What counts is float32: the fit goes on until that agrees."""
    from reproducer.models.language_model import load_lm

    lm = load_lm("tiny", device="cpu", dtype="bfloat16")
    recipe = Recipe(name="x", lr=0.1, max_steps=300, stop_accuracy=1.0)
    problems = [spec.problem(lm) for spec in fit_specs(lm, 8, 2, recipe=recipe)]
    for solution in solve_all(lm, problems, recipe):
        assert solution.solved == bool(solution.correct.all())
        assert solution.solved or solution.steps == 300


def test_a_step_never_asks_the_host(tiny):
    """A CUDA graph holds a whole step; values reach the host at the checks alone."""
    problem = fit_specs(tiny, 1)[0].problem(tiny)
    slots = Slots.empty(1, problem, RECIPE, tiny.device, trace=True)
    slots.admit(0, problem)
    with Watch() as watch:
        slots.advance(*slots.backward(tiny.decoder(), torch.float32, chunk=1))
    names = {name for name, _, _ in watch.calls}
    assert "linear" in names or "mm" in names
    assert not names & {"_local_scalar_dense", "nonzero", "item", "equal"}


def test_nine_of_ten_right_are_an_accuracy_of_nine_tenths():
    right = torch.tensor([[True] * 9 + [False]])
    rows, nats = torch.zeros(2, 3), torch.zeros(1, 10)
    solution = Solution(rows, right, nats, steps=1, solved=True, seconds=0.0, trace={}, end={})
    assert solution.accuracy.item() >= 0.9
