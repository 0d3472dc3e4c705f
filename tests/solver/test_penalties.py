"""Penalties, values and gradients, against plain loops in float64."""

import math

import pytest
import torch

from reproducer.solver.penalties import AGREEMENT, TERMS


def vectors(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def pair_cosines(rows):
    rows = rows.tolist()
    return [cosine(rows[i], rows[j]) for i in range(len(rows)) for j in range(i + 1, len(rows))]


def huber(x):
    return 0.5 * x * x if abs(x) <= 1 else abs(x) - 0.5


def looped_term(term, e, teacher):
    if term == "anchor":
        return sum(1 - cosine(a, b) for a, b in zip(e.tolist(), teacher.tolist(), strict=True))
    gaps = [a - b for a, b in zip(pair_cosines(e), pair_cosines(teacher), strict=True)]
    distance = huber if term == "huber" else lambda x: x * x
    return sum(map(distance, gaps)) / len(gaps)


def inputs(term, seed=0):
    # Opposite pairs in the teacher make cosine gaps beyond 1, where Huber's loss is linear.
    teacher = vectors(6, 5 if term == "anchor" else 3, seed=seed + 1)
    teacher[1] = -teacher[0]
    e = vectors(6, 5, seed=seed)
    e[1] = e[0] + 0.1 * e[1]
    return e, teacher


@pytest.mark.parametrize("term", TERMS)
def test_value_is_that_of_the_loop(term):
    e, teacher = inputs(term)
    assert TERMS[term](e, teacher).item() == pytest.approx(looped_term(term, e, teacher), abs=1e-12)


@pytest.mark.parametrize("term", TERMS)
def test_gradient_is_that_of_differences_of_the_loop(term):
    e, teacher = inputs(term)
    leaf = e.clone().requires_grad_()
    TERMS[term](leaf, teacher).backward()
    step = 1e-6
    for i in range(e.shape[0]):
        for j in range(e.shape[1]):
            up, down = e.clone(), e.clone()
            up[i, j] += step
            down[i, j] -= step
            slope = (looped_term(term, up, teacher) - looped_term(term, down, teacher)) / (2 * step)
            assert leaf.grad[i, j].item() == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("term", TERMS)
def test_many_groups_at_once_equal_one_by_one(term):
    pairs = [inputs(term, seed) for seed in (0, 10, 20)]
    together = TERMS[term](*(torch.stack(side) for side in zip(*pairs, strict=True)))
    alone = torch.stack([TERMS[term](*pair) for pair in pairs])
    torch.testing.assert_close(together, alone)


def test_anchor_agreement_is_the_mean_cosine():
    e, teacher = inputs("anchor")
    expected = 1 - looped_term("anchor", e, teacher) / len(e)
    assert AGREEMENT["anchor"](e, teacher).item() == pytest.approx(expected)


@pytest.mark.parametrize("term", ["mse", "huber"])
def test_relational_agreement_is_pearsons_correlation(term):
    e, teacher = inputs(term)
    ours, theirs = pair_cosines(e), pair_cosines(teacher)
    expected = torch.corrcoef(torch.tensor([ours, theirs], dtype=torch.float64))[0, 1]
    assert AGREEMENT[term](e, teacher).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("term", TERMS)
def test_agreement_with_itself_is_complete_and_costs_nothing(term):
    e = vectors(4, 5)
    assert AGREEMENT[term](e, e).item() == pytest.approx(1)
    assert TERMS[term](e, e).item() == pytest.approx(0, abs=1e-12)
