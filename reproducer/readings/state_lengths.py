"""How long the hidden states of fitted inputs are, by layer and position. Not in the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.readings.first_position import hidden_states
from reproducer.results.fits import FitSpec
from reproducer.results.specs import Measurement, Outcome, Result

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel


class StateLengthsSpec(Measurement):
    """L2 norms of the states that the inputs of fitted texts, one text a fit, lead to.

    Array `length` (n_fits, n_layers, n_inputs): after the embedding and after each block but the
    last, whose state is stored behind the final norm.
    """

    kind: Literal["state lengths"] = "state lengths"
    fits: tuple[FitSpec, ...] = Field(min_length=1)

    @property
    def needs(self) -> tuple[FitSpec, ...]:
        return self.fits

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        import torch

        lengths = []
        for spec, fit in zip(self.fits, needed, strict=True):
            inputs = torch.from_numpy(fit.arrays["rows"])[spec.problem(lm).index[:1]]
            lengths.append(hidden_states(lm, inputs)[:-1, 0].norm(dim=-1))
        return Outcome({}, {"length": torch.stack(lengths)})
