"""What fits on one model cost: steps, FLOP, seconds and memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from reproducer.models.card import model_card
from reproducer.models.checkpoints import weightless_model
from reproducer.models.peak import step_flops
from reproducer.results.specs import Size, SolveSpec
from reproducer.solver.calibrate import Pass, Speed
from reproducer.solver.memory import batch_problems, bytes_per_input

# Copies of its rows that a fit keeps: its own, AdamW's two moments, the best, the gradient.
COPIES = 5


@dataclass(frozen=True)
class Fit:
    """A fit that is to be done: the steps it may still take, and those to expect.

    `compared`: whether stored fits tell the latter.
    """

    spec: SolveSpec
    at_most: int
    expected: float
    compared: bool = False

    def steps(self, expected: bool) -> float:
        return self.expected if expected else self.at_most


class Totals(NamedTuple):
    """Sums over fits. Text-steps are sequences × steps, token-steps input positions × steps."""

    fits: int
    text_steps: float
    token_steps: float
    flop: float


@dataclass(frozen=True)
class Place:
    """Where fits run: the device, and how many input positions go through the model at a time."""

    device: torch.device
    max_inputs: int

    def batch(self, size: Size, n_fits: int) -> int:
        """How many fits of a size run side by side."""
        return min(n_fits, batch_problems(size.positions, self.max_inputs, self.device))

    def passes(self, size: Size, n_fits: int) -> list[Pass]:
        """What goes through the model, part after part, in one step of `n_fits` fits."""
        chunk = max(1, self.max_inputs // size.n_inputs)
        full, rest = divmod(n_fits * size.n_sequences, chunk)
        return [Pass(n, size.n_inputs, size.n_tokens) for n in [chunk] * full + [rest] * (rest > 0)]


@cache
def shape_of(model: str) -> nn.Module:
    """A model's modules without weights."""
    return weightless_model(model_card(model))


def totals(fits: Iterable[Fit], expected: bool = False) -> Totals:
    """The sums over `fits`, of all steps that they may take or of those to expect."""
    taken = [(fit.spec, fit.steps(expected)) for fit in fits]
    return Totals(
        fits=len(taken),
        text_steps=sum(spec.size.n_sequences * steps for spec, steps in taken),
        token_steps=sum(spec.size.positions * steps for spec, steps in taken),
        flop=sum(_flop(spec) * steps for spec, steps in taken),
    )


def seconds(fits: Iterable[Fit], place: Place, speed: Speed, expected: bool = False) -> float:
    """How long `fits` of one dtype take, in batches as the solver makes them."""
    total = 0.0
    for batch in batches(fits):
        steps = [fit.steps(expected) for fit in batch]
        size = batch[0].spec.size
        n = place.batch(size, len(batch))
        # A slot that is freed is filled: the batch is full until only the longest fits are left.
        n_steps = max(max(steps), sum(steps) / n)
        n_passes = n_steps * len(place.passes(size, n))
        total += speed.seconds(n_passes, sum(steps) * _flop(batch[0].spec))
    return total


def batches(fits: Iterable[Fit]) -> list[list[Fit]]:
    """The fits by what they need to share a batch: shape, recipe and dtype."""
    alike: dict[tuple, list[Fit]] = {}
    for fit in fits:
        spec = fit.spec
        shape = (spec.size, spec.kind, spec.recipe, spec.trace, spec.dtype)
        alike.setdefault(shape, []).append(fit)
    return list(alike.values())


def costliest(fits: Iterable[Fit]) -> list[Fit]:
    """The batch that does most of the work."""
    return max(batches(fits), key=lambda batch: totals(batch).flop)


def batch_bytes(batch: list[Fit], place: Place, dtype: torch.dtype) -> int:
    """Memory that a batch takes while it is solved, weights excluded."""
    spec = batch[0].spec
    size, config = spec.size, shape_of(spec.model).config
    n = place.batch(size, len(batch))
    first = place.passes(size, n)[0]
    kept = first.n_sequences * first.n_inputs * bytes_per_input(config, dtype)
    return kept + COPIES * n * size.n_rows * config.hidden_size * 4


def _flop(spec: SolveSpec) -> float:
    size = spec.size
    return size.n_sequences * _step_flop(spec.model, size.n_inputs, size.n_tokens)


@cache
def _step_flop(model: str, n_inputs: int, n_tokens: int) -> float:
    return step_flops(shape_of(model), n_inputs, n_tokens)
