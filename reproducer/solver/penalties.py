"""The further terms of the loss, and how far `e` agrees with its teacher.

Bondarenko et al. §3.5–3.6: an anchor pulls every `e` towards a sentence embedding; relational
distillation pulls the cosines *between* the `e` of a batch towards those between embeddings.
All functions take `e` (…, n, d) and the teacher (…, n, k) and return (…).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def cosine_matrix(vectors: Tensor) -> Tensor:
    """Cosines between all pairs of vectors: (…, n, d) → (…, n, n)."""
    unit = F.normalize(vectors, dim=-1)
    return unit @ unit.mT


def off_diagonal(matrix: Tensor) -> Tensor:
    """The entries above the diagonal: (…, n, n) → (…, n(n−1)/2)."""
    i, j = torch.triu_indices(*matrix.shape[-2:], offset=1, device=matrix.device)
    return matrix[..., i, j]


def anchor_term(e: Tensor, teacher: Tensor) -> Tensor:
    """`Σ_i (1 − cos(e_i, t_i))`, the sum over the group's sequences."""
    return (1 - F.cosine_similarity(e, teacher, dim=-1)).sum(-1)


def relational_term(distance: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean `distance` between the off-diagonal cosines of `e` and those of the teacher."""

    def term(e: Tensor, teacher: Tensor) -> Tensor:
        pairs = off_diagonal(cosine_matrix(e)), off_diagonal(cosine_matrix(teacher))
        return distance(*pairs, reduction="none").mean(-1)

    return term


def mean_cosine(e: Tensor, teacher: Tensor) -> Tensor:
    """Mean over the group of `cos(e_i, t_i)`."""
    return F.cosine_similarity(e, teacher, dim=-1).mean(-1)


def relational_correlation(e: Tensor, teacher: Tensor) -> Tensor:
    """Pearson correlation of the off-diagonal cosines of `e` and of the teacher."""
    ours, theirs = off_diagonal(cosine_matrix(e)), off_diagonal(cosine_matrix(teacher))
    ours, theirs = ours - ours.mean(-1, keepdim=True), theirs - theirs.mean(-1, keepdim=True)
    return F.cosine_similarity(ours, theirs, dim=-1)


TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "anchor": anchor_term,
    "mse": relational_term(F.mse_loss),
    "huber": relational_term(F.huber_loss),
}

AGREEMENT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "anchor": mean_cosine,
    "mse": relational_correlation,
    "huber": relational_correlation,
}
