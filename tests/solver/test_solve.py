"""The solver against single fits, plain autograd and the library's own forward pass."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from reproducer.errors import ReproducerError
from reproducer.results.fits import FitSpec
from reproducer.results.run import result_of
from reproducer.results.solutions import accuracies
from reproducer.results.store import Store
from reproducer.solver import slots as slots_module
from reproducer.solver import solve as solve_module
from reproducer.solver.arrangements import ARRANGEMENTS
from reproducer.solver.problem import Penalty, Problem
from reproducer.solver.recipes import Recipe
from reproducer.solver.slots import Slots
from reproducer.solver.solve import Solution, solve
from reproducer.texts.sources import load_texts
from tests.decoder.test_head import Watch

RECIPE = Recipe(name="test", lr=0.05, max_steps=40)


def fit_specs(lm, n_texts=6, n_tokens=4, **fields):
    texts = load_texts("unseen", lm.name, n_texts, n_tokens)
    fields = {"recipe": RECIPE, "arrangement": "[e] [m]xN", "model": "tiny"} | fields
    return [FitSpec(texts=(text.prefix(n_tokens),), **fields) for text in texts]


def solve_all(lm, problems, recipe=RECIPE, **options):
    return [s for _, s in sorted(solve(lm, problems, recipe, **options), key=lambda p: p[0])]


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
