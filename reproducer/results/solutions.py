"""Solutions as points: the `e` and `m` of every sequence of stored fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from reproducer.results.fits import FitSpec
from reproducer.results.specs import Result
from reproducer.texts.sources import Text


@dataclass(frozen=True)
class Point:
    """One sequence of a fit: its text, its accuracy, and `rows`, its `e` and `m` (2, d_model)."""

    fit: FitSpec
    sequence: int
    accuracy: float
    rows: np.ndarray

    @property
    def text(self) -> Text:
        return self.fit.sequences[self.sequence]


def points_of(results: Iterable[Result], from_start: bool = False) -> list[Point]:
    """All sequences of stored fits, in order; see `proto_tokens`."""
    points = []
    for result in results:
        fit = FitSpec(**result.spec)
        rows = proto_tokens(fit, result, from_start)
        points += [Point(fit, s, share, rows[s]) for s, share in enumerate(accuracies(result))]
    return points


def accuracies(result: Result) -> list[float]:
    """The share of each sequence's tokens that came back.

    Where the loss is no number nothing did: leaving such fits out would favour what fails.
    """
    return [share or 0.0 for share in result.metrics["accuracy"]]


def proto_tokens(fit: FitSpec, result: Result, from_start: bool = False) -> np.ndarray:
    """`e` and `m` of every sequence of a fit, (n_sequences, 2, d_model).

    `from_start`: how far each vector moved from where the fit started, instead of where it ended.
    """
    named = [[fit.row_of(role, s) for role in "em"] for s in range(len(fit.sequences))]
    rows = result.arrays["rows"]
    if from_start:
        rows = rows.astype(np.float64) - fit.start(rows.shape[1]).numpy()
    return rows[np.array(named)]
