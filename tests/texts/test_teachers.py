"""Teachers: cosines survive the lift; a teacher that is too wide is refused or cut."""

import pytest
import torch
from torch.nn import functional as F

from reproducer.errors import ReproducerError
from reproducer.texts.teachers import lift, teacher_vectors, to_width


def unit_vectors(n, d):
    draw = torch.Generator().manual_seed(n * d)
    return F.normalize(torch.randn(n, d, generator=draw), dim=-1)


@pytest.mark.parametrize("width, d_model", [(384, 576), (32, 32), (1, 7), (384, 2048)])
def test_lift_keeps_all_cosines(width, d_model):
    vectors = unit_vectors(9, width)
    lifted = to_width(vectors, d_model, matryoshka=False)
    assert lifted.shape == (9, d_model) and lifted.dtype == torch.float32
    torch.testing.assert_close(lifted @ lifted.T, vectors @ vectors.T, rtol=0, atol=1e-6)


def test_lift_is_orthonormal_and_fixed():
    columns = lift(24, 60)
    torch.testing.assert_close(columns.T @ columns, torch.eye(24, dtype=torch.float64))
    torch.manual_seed(123)
    assert torch.equal(columns, lift(24, 60))


def test_a_matryoshka_teacher_is_cut_and_scaled():
    vectors = unit_vectors(5, 64)
    cut = to_width(vectors, 16, matryoshka=True)
    torch.testing.assert_close(cut, F.normalize(vectors[:, :16], dim=-1))


def test_a_wide_teacher_without_matryoshka_is_refused():
    with pytest.raises(ReproducerError, match="at most the model's width 16.*got width 64"):
        to_width(unit_vectors(5, 64), 16, matryoshka=False)


def test_unknown_teacher():
    with pytest.raises(ReproducerError, match="did you mean 'random'"):
        teacher_vectors(["a"], "randm")


def test_random_vectors_depend_on_the_sentence_alone():
    both = teacher_vectors(["one", "two"], "random")
    torch.testing.assert_close(teacher_vectors(["two"], "random")[0], both[1])
    assert both.norm(dim=1).tolist() == pytest.approx([1, 1])
    assert both[0] @ both[1] < 0.9
