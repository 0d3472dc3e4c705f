"""Curves between two solutions of one text: are they connected by solutions?

A quadratic Bézier curve `B(t) = (1−t)² a + 2t(1−t) π + t² b` joins the solutions `a` and `b`.
Its control point `π` starts at their midpoint, where the curve is the straight line, and is
trained as any proto-token is, each step at another `t ~ U[0, 1]` (Mezentsev & Oseledets §5,
after Garipov et al. 2018). If `a` and `b` share `m`, only `e` moves; else both do.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.integrate import quad
from torch import Tensor

from reproducer.decoder.head import head_loss
from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.results.provenance import provenance
from reproducer.results.run import cached_lm, compute
from reproducer.results.solutions import proto_tokens
from reproducer.results.specs import FitSpec, SolveSpec, Spec
from reproducer.results.store import Result
from reproducer.solver.arrangements import arrangement
from reproducer.solver.problem import Problem

SEQUENCES_AT_A_TIME = 64


class End(BaseModel):
    """One end of a curve: a sequence of a fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fit: FitSpec
    sequence: int = Field(0, ge=0)

    def rows(self) -> Tensor:
        """The solution's `e` and `m`, (2, d_model)."""
        (result,) = compute([self.fit], progress=False)
        return proto_tokens(self.fit, result)[self.sequence]


class CurveSpec(SolveSpec):
    """The control point of a curve between two solutions of one text.

    The solution's rows are the control points of what moves: of `e`, or of `e` and `m`.
    """

    kind: Literal["curve"] = "curve"
    ends: tuple[End, End]

    @model_validator(mode="after")
    def _one_text(self) -> CurveSpec:
        a, b = (end.fit.sequences[end.sequence].tokens for end in self.ends)
        if a != b or self.ends[0].fit.arrangement != self.ends[1].fit.arrangement:
            raise ValueError("expected two solutions of one text in one arrangement")
        return self

    @property
    def n_moving(self) -> int:
        """1 if the ends are solutions of one fit that shares `m`, else 2."""
        a, b = (end.fit for end in self.ends)
        return 1 if a == b and a.share == "m" else 2

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.ends[0].fit.sequences[self.ends[0].sequence].tokens

    def problem(self, lm: LanguageModel) -> Problem:
        a, b = (end.rows() for end in self.ends)
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
        label = "|".join((str(self.seed), *(f"{e.fit.key}:{e.sequence}" for e in self.ends)))
        seed = int.from_bytes(hashlib.sha256(label.encode()).digest()[:7], "big")
        return torch.rand(self.recipe.max_steps, generator=torch.Generator().manual_seed(seed))


def bezier_weights(t: Tensor) -> Tensor:
    """Weights of a, π and b at the times t (n,): (n, 3); each row sums to 1."""
    return torch.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2], dim=-1)


def mixture(t: Tensor, n_moving: int) -> Tensor:
    """Coefficients (n, 2, n_moving + 4) of (π…, a_e, a_m, b_e, b_m) for the points at t (n,).

    A row that does not move takes the first end's.
    """
    start, control, end = bezier_weights(t).unbind(-1)
    made = torch.zeros(len(t), 2, n_moving + 4)
    for role in range(2):
        moves = role < n_moving
        made[:, role, n_moving + role] = start if moves else 1.0
        if moves:
            made[:, role, role] = control
            made[:, role, n_moving + 2 + role] = end
    return made


class PathSpec(Spec):
    """Accuracy along a trained curve and along the straight line between its ends.

    Measured in float32 at `n_points` equal steps of t from 0 to 1.
    """

    kind: Literal["path"] = "path"
    curve: CurveSpec
    n_points: int = Field(21, ge=2)

    def run(self) -> Result:
        """Arrays `t`, `straight`, `curved` (n_points,); metric `stretch`, arc length ÷ chord."""
        lm = cached_lm(self.model, self.dtype)
        (trained,) = compute([self.curve], progress=False)
        problem = self.curve.problem(lm)
        t = torch.linspace(0, 1, self.n_points)
        weights = mixture(t, self.curve.n_moving)
        accuracy = {}
        for name, rows in (("straight", problem.rows), ("curved", trained.arrays["rows"])):
            table = torch.cat([rows, problem.frozen])
            accuracy[name] = path_accuracy(lm, weights @ table, problem)
        n = self.curve.n_moving
        a, b = problem.frozen[:n].flatten(), problem.frozen[2 : 2 + n].flatten()
        metrics = {"stretch": stretch(a, trained.arrays["rows"].flatten(), b)}
        spec = self.model_dump(mode="json")
        return Result(self.key, spec, metrics, {"t": t, **accuracy}, provenance(lm))


@torch.no_grad()
def path_accuracy(lm: LanguageModel, points: Tensor, problem: Problem) -> Tensor:
    """Share of right tokens at each point (`e`, `m`), (n, 2, d_model) → (n,), in float32."""
    decoder = lm.decoder(torch.float32)
    (targets,) = problem.targets.to(lm.device)
    index, first = problem.index[0], problem.offset
    shares = []
    for chunk in points.split(SEQUENCES_AT_A_TIME):
        hidden = decoder(chunk[:, index].to(lm.device))[:, first : first + len(targets)]
        wanted = targets.repeat(len(chunk))
        _, predicted = head_loss(hidden.flatten(0, 1), decoder.head, decoder.head_bias, wanted)
        shares.append((predicted == wanted).view(len(chunk), -1).float().mean(1))
    return torch.cat(shares).cpu()


def stretch(a: Tensor, control: Tensor, b: Tensor) -> float:
    """Arc length of the curve ÷ its chord, by adaptive quadrature; 1 for a straight line.

    Raises:
        ReproducerError: ends that coincide, so that there is no chord.
    """
    a, control, b = (v.double().numpy() for v in (a, control, b))
    chord = np.linalg.norm(b - a)
    if chord == 0:
        raise ReproducerError("expected two different solutions for a curve, got one twice")
    return arc_length(a, control, b) / float(chord)


def arc_length(a: np.ndarray, control: np.ndarray, b: np.ndarray) -> float:
    """`∫₀¹ ‖B′(t)‖ dt` of the quadratic Bézier curve, with `B′ = 2(1−t)(π−a) + 2t(b−π)`."""
    out, back = control - a, b - control
    # ‖B′‖² is a quadratic in t whose coefficients are three inner products.
    oo, ob, bb = out @ out, out @ back, back @ back

    def speed(t: float) -> float:
        return 2 * float(np.sqrt(max((1 - t) ** 2 * oo + 2 * t * (1 - t) * ob + t**2 * bb, 0.0)))

    return quad(speed, 0, 1)[0]
