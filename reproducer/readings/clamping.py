"""Fits repeated while the first position's state is kept from growing large. Not in the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reproducer.readings.first_position import PositionSpec
from reproducer.readings.reach import ReachSpec
from reproducer.results.fits import FitSpec
from reproducer.results.specs import Outcome, Result, Spec

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.recipes import Recipe


class ClampedSpec(Spec):
    """`fits` of one model and recipe, repeated on a model whose first position is clamped.

    After every block, a state at the first position that is longer than the states of later
    positions usually are is scaled to their length; its direction stays. Their usual lengths are
    those of embedded random tokens (`PositionSpec`), averaged from the third position on.

    Metrics, one entry a fit: `accuracy`, and `first`, whether the first token is right.
    """

    kind: Literal["clamped"] = "clamped"
    fits: tuple[ReachSpec | FitSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _alike(self) -> ClampedSpec:
        if len({(fit.model, fit.recipe) for fit in self.fits} | {(self.model, self.recipe)}) > 1:
            raise ValueError("expected fits of the spec's own model and of one recipe")
        if any(fit.needs for fit in self.fits):
            raise ValueError("expected fits that need no other result")
        if any(fit.dtype != "auto" for fit in self.fits):
            raise ValueError("expected fits whose dtype is left open: it is that of the spec")
        return self

    @property
    def recipe(self) -> Recipe:
        """The recipe of all fits."""
        return self.fits[0].recipe

    def settled(self, choose: Callable[[Spec], str]) -> Self:
        """The dtype that is chosen here is that of all fits, which leave it open."""
        return self.model_copy(update={"dtype": choose(self)}) if self.dtype == "auto" else self

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        import torch

        from reproducer.decoder.clamped import ClampedDecoder
        from reproducer.solver.solve import solve

        limits = usual_norms(PositionSpec(model=self.model).run(lm, ())).tolist()
        dtypes = {lm.dtype, torch.float32}
        clamped = {dtype: ClampedDecoder(lm.decoder(dtype), limits) for dtype in dtypes}
        problems = [fit.problem(lm) for fit in self.fits]
        solved = dict(solve(replace(lm, _decoders=clamped), problems, self.recipe))
        correct = [solved[number].correct for number in range(len(problems))]
        metrics = {
            "accuracy": [float(tokens.double().mean()) for tokens in correct],
            "first": [bool(tokens[0, 0]) for tokens in correct],
            "steps": [solved[number].steps for number in range(len(problems))],
        }
        rows = {f"rows_{number:03d}": solved[number].rows for number in range(len(problems))}
        return Outcome(metrics, rows)


def usual_norms(positions: Outcome) -> np.ndarray:
    """The usual length of a later position's state after each block, (n_layers,).

    What is stored for the last block stands behind the final norm; it gets the limit of the block
    before it.
    """
    norms = np.asarray(positions.arrays["words_norm"])[:, 2:].mean(1)
    return np.append(norms[1:-1], norms[-2])
