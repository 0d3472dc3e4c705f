"""Curves between two solutions of one text: are they connected by solutions?

A quadratic Bézier curve `B(t) = (1−t)² a + 2t(1−t) π + t² b` joins the solutions `a` and `b`.
Its control point `π` starts at their midpoint, where the curve is the straight line, and is
trained as any proto-token is, each step at another `t ~ U[0, 1]` (Mezentsev & Oseledets §5,
after Garipov et al. 2018). If `a` and `b` share `m`, only `e` moves; else both do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reproducer.results.fits import FitSpec
from reproducer.results.solutions import proto_tokens
from reproducer.results.specs import Measurement, Outcome, Result, Size, SolveSpec
from reproducer.solver.arrangements import arrangement

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem


class End(BaseModel):
    """One end of a curve: a sequence of a fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: FitSpec
    sequence: int = Field(0, ge=0)

    def rows(self, result: Result) -> Tensor:
        """The solution's `e` and `m`, (2, d_model), out of the fit's result."""
        import torch

        return torch.from_numpy(proto_tokens(self.fit, result)[self.sequence])


class CurveSpec(SolveSpec):
    """The control point of a curve between two solutions of one text.

    The solution's rows are the control points of what moves: of `e`, or of `e` and `m`.
    """

    kind: Literal["curve"] = "curve"
    ends: tuple[End, End]
    warm_start: Literal[""] = ""

    @model_validator(mode="after")
    def _one_text(self) -> CurveSpec:
        a, b = (end.fit.sequences[end.sequence].tokens for end in self.ends)
        if a != b or self.ends[0].fit.arrangement != self.ends[1].fit.arrangement:
            raise ValueError("expected two solutions of one text in one arrangement")
        return self

    @property
    def needs(self) -> tuple[FitSpec, FitSpec]:
        a, b = self.ends
        return a.fit, b.fit

    @property
    def n_moving(self) -> int:
        """1 if the ends are solutions of one fit that shares `m`, else 2."""
        a, b = (end.fit for end in self.ends)
        return 1 if a == b and a.share == "m" else 2

    @property
    def size(self) -> Size:
        pattern = arrangement(self.ends[0].fit.arrangement)
        n_tokens = len(self.tokens)
        return Size(1, pattern.n_inputs(n_tokens), n_tokens, self.n_moving)

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.ends[0].fit.sequences[self.ends[0].sequence].tokens

    def problem(self, lm: LanguageModel, needed: Sequence[Result]) -> Problem:
        import torch

        from reproducer.readings.bezier import mixture
        from reproducer.solver.problem import Problem

        a, b = (end.rows(result) for end, result in zip(self.ends, needed, strict=True))
        pattern = arrangement(self.ends[0].fit.arrangement)
        roles = pattern.roles(len(self.tokens))
        return Problem(
            rows=((a + b) / 2)[: self.n_moving],
            index=torch.tensor([["em".index(role) for role in roles]]),
            targets=torch.tensor([self.tokens]),
            offset=pattern.offset,
            frozen=torch.cat([a, b]),
            mixture=mixture(self._times(), self.n_moving),
        )

    def _times(self) -> Tensor:
        """One t ~ U[0, 1] for each step, drawn from the spec itself."""
        import torch

        ends = (f"{end.fit.seed}:{end.sequence}" for end in self.ends)
        tokens = ",".join(map(str, self.tokens))
        label = "|".join((str(self.seed), tokens, *ends))
        seed = int.from_bytes(hashlib.sha256(label.encode()).digest()[:7], "big")
        return torch.rand(self.recipe.max_steps, generator=torch.Generator().manual_seed(seed))


class PathSpec(Measurement):
    """Accuracy along a trained curve and along the straight line between its ends.

    Measured in float32 at `n_points` equal steps of t from 0 to 1.
    """

    kind: Literal["path"] = "path"
    curve: CurveSpec
    n_points: int = Field(21, ge=2)

    @property
    def needs(self) -> tuple[SolveSpec, ...]:
        return self.curve, *self.curve.needs

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Arrays `t`, `straight`, `curved` (n_points,); metric `stretch`, arc length ÷ chord."""
        import torch

        from reproducer.readings.bezier import mixture, path_accuracy, stretch

        trained, *ends = needed
        control = torch.from_numpy(trained.arrays["rows"])
        problem = self.curve.problem(lm, ends)
        t = torch.linspace(0, 1, self.n_points)
        weights = mixture(t, self.curve.n_moving)
        accuracy = {}
        for name, rows in (("straight", problem.rows), ("curved", control)):
            table = torch.cat([rows, problem.frozen])
            accuracy[name] = path_accuracy(lm, weights @ table, problem)
        n = self.curve.n_moving
        a, b = problem.frozen[:n].flatten(), problem.frozen[2 : 2 + n].flatten()
        metrics = {"stretch": stretch(a, control.flatten(), b)}
        return Outcome(metrics, {"t": t, **accuracy})
