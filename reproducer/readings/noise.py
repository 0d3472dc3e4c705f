"""Noise on a proto-token, as a stored reading (Bondarenko et al., Fig 4)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.results.fits import FitSpec
from reproducer.results.specs import Measurement, Outcome, Result

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel

# Drawn in `reproducer.readings.noise_vectors`.
NOISES = ("gaussian", "uniform", "exponential", "sinusoidal")


class NoiseSpec(Measurement):
    """Accuracy of a fitted text when one of its tokens is perturbed."""

    kind: Literal["noise"] = "noise"
    fit: FitSpec
    token: Literal["e", "m"]
    noise: Literal["gaussian", "uniform", "exponential", "sinusoidal"]
    alphas: tuple[float, ...]
    n_draws: int = Field(ge=1)

    @property
    def needs(self) -> tuple[FitSpec]:
        return (self.fit,)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Array `accuracy`, (n_alphas, n_draws)."""
        import torch

        from reproducer.readings.noise_vectors import read_accuracy

        (fit,) = needed
        tables = self._tables(torch.from_numpy(fit.arrays["rows"]))
        accuracy = read_accuracy(lm, self.fit.problem(lm), tables)
        return Outcome({}, {"accuracy": accuracy.view(len(self.alphas), self.n_draws)})

    def _tables(self, rows: Tensor) -> Tensor:
        """The solution under every α and draw: (n_alphas · n_draws, n_rows, d_model)."""
        from reproducer.readings.noise_vectors import noise_direction, perturbed

        row = self.fit.row_of(self.token, 0)
        text = self.fit.texts[0].digest
        tables = rows.repeat(len(self.alphas), self.n_draws, 1, 1)
        for draw in range(self.n_draws):
            # One direction a draw, so that the accuracies along α belong to one path.
            direction = noise_direction(self.noise, rows.shape[1], text, self.token, str(draw))
            for i, alpha in enumerate(self.alphas):
                tables[i, draw, row] = perturbed(rows[row], direction, alpha)
        return tables.flatten(0, 1)


def halving_alpha(alphas: list[float], accuracies: list[float]) -> float:
    """The α at which accuracy falls to half of that at the smallest α, linearly interpolated.

    `alphas` ascend. Infinite if accuracy stays above half within them.
    """
    half = accuracies[0] / 2
    points = list(zip(alphas, accuracies, strict=True))
    for (a, above), (b, below) in itertools.pairwise(points):
        if below <= half < above:
            return a + (b - a) * (above - half) / (above - below)
    return math.inf
