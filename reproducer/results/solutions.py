"""Solutions as points: the `e` and `m` of every sequence of stored fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from reproducer.results.specs import FitSpec
from reproducer.results.store import Result
from reproducer.texts.sources import Text


@dataclass(frozen=True)
class Point:
    """One sequence of a fit: its text, its accuracy, and `rows`, its `e` and `m` (2, d_model)."""

    fit: FitSpec
    sequence: int
    accuracy: float
    rows: Tensor

    @property
    def text(self) -> Text:
        return self.fit.sequences[self.sequence]


def points_of(results: Iterable[Result]) -> list[Point]:
    """All sequences of stored fits, in order."""
    found = []
    for result in results:
        fit = FitSpec(**result.spec)
        rows = proto_tokens(fit, result)
        accuracies = result.metrics["accuracy"]
        found += [Point(fit, s, accuracy, rows[s]) for s, accuracy in enumerate(accuracies)]
    return found


def proto_tokens(fit: FitSpec, result: Result) -> Tensor:
    """`e` and `m` of every sequence of a fit, (n_sequences, 2, d_model)."""
    named = [[fit.row_of(role, s) for role in "em"] for s in range(len(fit.sequences))]
    return result.arrays["rows"][torch.tensor(named)]
