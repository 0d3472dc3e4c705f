"""Curves: ends, arc length of known curves, gradient of the control point, paths measured."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reproducer.errors import ReproducerError
from reproducer.readings.bezier import (
    arc_length,
    bezier_weights,
    mixture,
    path_accuracy,
    stretch,
)
from reproducer.readings.curves import CurveSpec, End, PathSpec
from reproducer.results.fits import FitSpec
from reproducer.results.run import compute
from reproducer.results.solutions import proto_tokens
from reproducer.solver.recipes import Recipe
from reproducer.solver.slots import Slots
from reproducer.texts.sources import load_texts

RECIPE = Recipe(name="test", lr=0.05, max_steps=15)


@pytest.fixture
def shared(tiny):
    texts = tuple(t.prefix(4) for t in load_texts("unseen", "tiny", 2, 4))
    fields = {"model": "tiny", "dtype": "float32", "arrangement": "[e] [m]xN", "recipe": RECIPE}
    return FitSpec(texts=texts, share="m", copies=2, **fields)


@pytest.fixture
def own(shared):
    fields = shared.model_dump() | {"texts": shared.texts[:1], "share": "none", "copies": 1}
    return [FitSpec(**fields | {"seed": seed}) for seed in (0, 1)]


def posed(tiny, spec):
    """The problem of a curve, from the results of its ends."""
    return spec.problem(tiny, compute(spec.needs, progress=False))


def curve(a, b, **fields):
    ends = {"model": "tiny", "dtype": "float32", "ends": (a, b), "recipe": RECIPE}
    return CurveSpec(**ends | fields)


def test_the_curve_at_zero_and_one_is_its_ends_and_its_weights_sum_to_one():
    weights = bezier_weights(torch.linspace(0, 1, 5))
    assert weights[0].tolist() == [1, 0, 0]
    assert weights[-1].tolist() == [0, 0, 1]
    torch.testing.assert_close(weights.sum(1), torch.ones(5))


@pytest.mark.parametrize("n_moving", [1, 2])
def test_mixture_equals_the_formula(n_moving):
    a, b, control = torch.randn(3, 2, 6)
    t = torch.rand(7)
    found = mixture(t, n_moving) @ torch.cat([control[:n_moving], a, b])
    for i, s in enumerate(t):
        wanted = (1 - s) ** 2 * a + 2 * s * (1 - s) * control + s**2 * b
        wanted = torch.cat([wanted[:n_moving], a[n_moving:]])
        torch.testing.assert_close(found[i], wanted)


def test_arc_length_of_a_straight_line_and_of_a_parabola():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([4.0, 6.0, 3.0])
    assert arc_length(a, (a + b) / 2, b) == pytest.approx(5.0)
    # With these points the curve is y = x² from 0 to 1.
    points = [np.array(p) for p in ([0.0, 0.0], [0.5, 0.0], [1.0, 1.0])]
    assert arc_length(*points) == pytest.approx(math.sqrt(5) / 2 + math.asinh(2) / 4)


def test_arc_length_equals_many_short_chords():
    a, control, b = np.random.default_rng(0).normal(size=(3, 20))
    w = bezier_weights(torch.linspace(0, 1, 20001, dtype=torch.float64)).numpy()
    chords = np.diff(w @ np.stack([a, control, b]), axis=0)
    assert arc_length(a, control, b) == pytest.approx(np.linalg.norm(chords, axis=1).sum())


def test_a_curve_that_turns_back_is_measured_both_ways():
    a, control, b = np.array([0.0]), np.array([1.0]), np.array([0.0])
    assert arc_length(a, control, b) == pytest.approx(1.0)


def test_one_solution_twice_has_no_chord():
    a = torch.ones(3)
    with pytest.raises(ReproducerError, match="two different solutions"):
        stretch(a, a, a)


def test_where_m_is_shared_only_e_moves(tiny, shared):
    spec = curve(End(fit=shared, sequence=0), End(fit=shared, sequence=1))
    problem = posed(tiny, spec)
    assert problem.rows.shape == (1, tiny.d_model)
    torch.testing.assert_close(problem.rows[0], (problem.frozen[0] + problem.frozen[2]) / 2)
    points = problem.mixture @ torch.cat([problem.rows, problem.frozen])
    torch.testing.assert_close(points[:, 1], problem.frozen[1].expand(15, -1))


def test_own_tokens_both_move(tiny, own):
    problem = posed(tiny, curve(*(End(fit=fit) for fit in own)))
    assert problem.rows.shape == (2, tiny.d_model)
    torch.testing.assert_close(problem.rows, (problem.frozen[:2] + problem.frozen[2:]) / 2)


def test_gradient_of_the_control_point_equals_plain_autograd(tiny, own):
    problem = posed(tiny, curve(*(End(fit=fit) for fit in own)))
    slots = Slots.empty(1, problem, RECIPE, tiny.device)
    slots.admit(0, problem)
    grad, *_ = slots.backward(tiny.decoder(), tiny.dtype, 8)
    control = problem.rows.clone().requires_grad_()
    a, b = problem.frozen[:2], problem.frozen[2:]
    start, middle, end = bezier_weights(curve_time(problem))
    e_m = start * a + middle * control + end * b
    logits = tiny.hf(inputs_embeds=e_m[problem.index]).logits[:, 1:]
    F.cross_entropy(logits.flatten(0, 1), problem.targets.flatten()).backward()
    torch.testing.assert_close(grad[0], control.grad, rtol=1e-3, atol=1e-6)


def curve_time(problem):
    """The first step's t, from its weight 2t(1 − t) and (1 − t)² in the mixture."""
    start = problem.mixture[0, 0, 2]
    return 1 - start.sqrt()


def test_solutions_of_different_texts_are_refused(shared):
    with pytest.raises(ValueError, match="two solutions of one text"):
        curve(End(fit=shared, sequence=0), End(fit=shared, sequence=2))


def test_paths_start_and_end_with_the_accuracy_of_the_solutions(tiny, shared):
    (fit,) = compute([shared], progress=False)
    spec = curve(End(fit=shared, sequence=0), End(fit=shared, sequence=1))
    (path,) = compute([PathSpec(model="tiny", curve=spec, n_points=5)], progress=False)
    for name in ("straight", "curved"):
        ends = path.arrays[name][[0, -1]].tolist()
        assert ends == pytest.approx(fit.metrics["accuracy"][:2])
    assert path.metrics["stretch"] >= 1


def test_path_accuracy_equals_the_librarys_argmax(tiny, own):
    problem = posed(tiny, curve(*(End(fit=fit) for fit in own)))
    points = torch.randn(6, 2, tiny.d_model)
    logits = tiny.hf(inputs_embeds=points[:, problem.index[0]]).logits[:, 1:]
    wanted = (logits.argmax(-1) == problem.targets).float().mean(1)
    torch.testing.assert_close(path_accuracy(tiny, points, problem), wanted)


def test_training_lowers_the_loss_along_the_curve(tiny, own):
    recipe = Recipe(name="longer", lr=0.05, max_steps=150)
    spec = curve(*(End(fit=fit) for fit in own), recipe=recipe, trace=True)
    (trained,) = compute([spec], progress=False)
    nats = trained.arrays["trace_loss_nats"]
    assert nats[-50:].mean() < nats[:50].mean()


def test_rows_of_repeated_texts_start_apart(shared, tiny):
    fields = shared.model_dump() | {"texts": shared.texts[:1] * 3, "copies": 1}
    rows = FitSpec(**fields).problem(tiny).rows
    copied = FitSpec(**fields | {"texts": shared.texts[:1], "copies": 3}).problem(tiny).rows
    torch.testing.assert_close(rows[:3], copied[:3])
    assert len(rows[:3].unique(dim=0)) == 3


def test_proto_tokens_name_the_shared_row(shared):
    (fit,) = compute([shared], progress=False)
    points = proto_tokens(shared, fit)
    assert points.shape[:2] == (4, 2)
    np.testing.assert_array_equal(points[:, 1], np.tile(fit.arrays["rows"][-1], (4, 1)))
    assert [len(np.unique(points[:, role], axis=0)) for role in (0, 1)] == [4, 1]
