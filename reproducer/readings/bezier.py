"""Quadratic Bézier curves in the space of proto-tokens: points, lengths, accuracy along them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor

from reproducer.decoder.head import head_loss
from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.solver.problem import Problem

SEQUENCES_AT_A_TIME = 64


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
