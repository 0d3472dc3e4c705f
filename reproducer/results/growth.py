"""Growth: a prefix is fitted from the solution of a shorter one.

A long text is seldom fitted from a random start where a short one is, and the vectors that hold N
tokens are a good start for those that hold a few more (Tarasov et al., arXiv 2607.21231, who grow
the text token by token). A stage is a spec of its own, so growth resumes between stages and the
stages of many texts share batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reproducer.results.fits import FitSpec
from reproducer.results.specs import Result, SolveSpec

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem


class Growth(SolveSpec):
    """A fit that starts where the one of a shorter prefix ended; mixed in before its own kind.

    `stages` are the lengths that were fitted before, from the first on. They and the text name all
    earlier fits, so none of those is part of the spec. Every stage has the same recipe.
    """

    stages: tuple[int, ...] = Field(min_length=1)

    # The kind of the first stage, which grows from nothing.
    FIRST: ClassVar[type[SolveSpec]]

    @model_validator(mode="after")
    def _stages_ascend(self) -> Growth:
        lengths = (0, *self.stages, self.n_tokens)
        if any(b <= a for a, b in pairwise(lengths)):
            raise ValueError(f"expected ascending stages below {self.n_tokens}, got {self.stages}")
        return self

    def prefix_fields(self, n_tokens: int) -> dict[str, Any]:
        """The fields of the spec that hold its text, cut to `n_tokens`."""
        raise NotImplementedError

    @property
    def former(self) -> SolveSpec:
        """The stage before this one."""
        *before, n_tokens = self.stages
        kind = type(self) if before else self.FIRST
        given = {name: getattr(self, name) for name in self.FIRST.model_fields if name != "kind"}
        stages = {"stages": tuple(before)} if before else {}
        return kind(**given | stages | self.prefix_fields(n_tokens))

    @property
    def needs(self) -> tuple[SolveSpec, ...]:
        return (self.former,)

    def problem(self, lm: LanguageModel, needed: Sequence[Result]) -> Problem:
        import torch

        fresh = super().problem(lm, ())
        # A restart would throw away what the earlier stages held.
        return replace(fresh, rows=torch.from_numpy(needed[0].arrays["rows"]), restarts=None)


class GrowSpec(Growth, FitSpec):
    """Proto-tokens that start at those of the same texts' shorter prefixes."""

    kind: Literal["grow"] = "grow"
    penalty: None = None

    FIRST: ClassVar[type[SolveSpec]] = FitSpec

    def prefix_fields(self, n_tokens: int) -> dict[str, Any]:
        return {"texts": tuple(text.prefix(n_tokens) for text in self.texts)}
