"""Noise on a proto-token: four kinds, scaled by the vector's own length.

A vector v becomes `v + ε/‖ε‖ · α‖v‖`, so α is the noise-to-signal ratio whatever the kind
(Bondarenko et al., Fig 4). Where the paper leaves the distribution open we take: uniform on
[−1, 1], exponential with mean 1 (hence with a common offset), and a sine wave along the
components with a random whole number of periods and a random phase.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from reproducer.decoder.head import head_loss
from reproducer.errors import ReproducerError, require_name
from reproducer.models.language_model import LanguageModel
from reproducer.solver.memory import batch_inputs
from reproducer.solver.problem import Problem


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


@torch.no_grad()
def read_accuracy(lm: LanguageModel, problem: Problem, tables: Tensor) -> Tensor:
    """Accuracy of the first sequence of `problem` for each table (n, n_rows, d_model): (n,)."""
    decoder, index = lm.decoder(torch.float32), problem.index[0]
    wanted, end = problem.targets[0].to(lm.device), problem.offset + problem.targets.shape[1]
    parts = []
    for chunk in tables.split(max(1, batch_inputs(lm) // len(index))):
        hidden = decoder(chunk[:, index].to(lm.device))[:, problem.offset : end]
        targets = wanted.repeat(len(chunk))
        _, guess = head_loss(hidden.flatten(0, 1), decoder.head, decoder.head_bias, targets)
        parts.append((guess == targets).view(len(chunk), -1).float().mean(1).cpu())
    return torch.cat(parts)
