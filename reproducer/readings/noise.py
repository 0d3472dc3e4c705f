"""Noise on a proto-token: four kinds, scaled by the vector's own length.

A vector v becomes `v + ε/‖ε‖ · α‖v‖`, so α is the noise-to-signal ratio whatever the kind
(Bondarenko et al., Fig 4). Where the paper leaves the distribution open we take: uniform on
[−1, 1], exponential with mean 1 (hence with a common offset), and a sine wave along the
components with a random whole number of periods and a random phase.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from reproducer.errors import ReproducerError, require_name


def _sinusoid(d: int, draw: Generator) -> Tensor:
    # Fewer than d/2 periods, the most that d samples can show.
    periods = torch.randint(1, max(2, d // 2), (1,), generator=draw)
    phase = torch.rand(1, generator=draw)
    return torch.sin(2 * math.pi * (periods * torch.arange(d) / d + phase))


NOISES: dict[str, Callable[[int, Generator], Tensor]] = {
    "gaussian": lambda d, draw: torch.randn(d, generator=draw),
    "uniform": lambda d, draw: 2 * torch.rand(d, generator=draw) - 1,
    "exponential": lambda d, draw: torch.empty(d).exponential_(generator=draw),
    "sinusoidal": _sinusoid,
}


def noise_direction(kind: str, d: int, *label: str) -> Tensor:
    """A unit vector (d,) of one of `NOISES`, drawn on the CPU from its label alone."""
    require_name("noise", kind, NOISES)
    mark = hashlib.sha256("|".join((kind, *label)).encode()).digest()
    drawn = NOISES[kind](d, Generator().manual_seed(int.from_bytes(mark[:7], "big")))
    return drawn / drawn.norm()


def perturbed(vector: Tensor, direction: Tensor, alpha: float) -> Tensor:
    """`v + α‖v‖ · direction` for v (d,); raises for a negative α."""
    if alpha < 0:
        raise ReproducerError(f"expected a noise ratio alpha of at least 0, got {alpha}")
    return vector + alpha * vector.norm() * direction.to(vector)


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
