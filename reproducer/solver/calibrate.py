"""How fast the solver is here: a few short runs of its own step, and a line through them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from reproducer.models.language_model import LanguageModel
from reproducer.models.peak import step_flops
from reproducer.solver.cuda_graphs import stepper
from reproducer.solver.problem import Problem
from reproducer.solver.recipes import Recipe
from reproducer.solver.slots import Slots

MOST_STEPS = 8
Clock = Callable[[], float]


@dataclass(frozen=True)
class Pass:
    """Sequences that go through the model together, and how long each is."""

    n_sequences: int
    n_inputs: int
    n_tokens: int


@dataclass(frozen=True)
class Speed:
    """Seconds of a pass forward and backward: an overhead, and so much for each FLOP."""

    overhead: float
    per_flop: float

    def seconds(self, n_passes: float, flop: float) -> float:
        """Seconds of `n_passes` passes that do `flop` FLOP in all."""
        return n_passes * self.overhead + flop * self.per_flop


def speed_of(
    lm: LanguageModel,
    passes: Iterable[Pass],
    limit_s: float = 30.0,
    clock: Clock = time.perf_counter,
) -> Speed:
    """Time steps of some passes, smallest first, for about `limit_s` seconds at most.

    A pass that would overrun the limit is left out; the first is always timed.
    """
    wanted = sorted(set(passes), key=lambda p: _flop(lm, p))
    begun, timed = time.perf_counter(), []
    for number, shape in enumerate(wanted):
        left = limit_s - (time.perf_counter() - begun)
        expected = timed[-1][1] * _flop(lm, shape) / timed[-1][0] if timed else 0.0
        if timed and 2 * expected > left:
            break
        seconds = _seconds(lm, shape, left / (len(wanted) - number), clock)
        timed.append((_flop(lm, shape), seconds))
    return fitted(timed)


def fitted(timed: list[tuple[float, float]]) -> Speed:
    """The line through (FLOP, seconds) with the least relative error and no negative part."""
    from scipy.optimize import nnls

    flop, seconds = np.array(timed, dtype=float).T
    if len(set(flop)) == 1:
        return Speed(0.0, float(np.mean(seconds / flop)))
    scale = flop.max()  # the two columns have to be of one size
    columns = np.stack([1 / seconds, flop / scale / seconds], axis=1)
    (overhead, slope), _ = nnls(columns, np.ones(len(flop)))
    return Speed(float(overhead), float(slope / scale))


def _flop(lm: LanguageModel, shape: Pass) -> float:
    return shape.n_sequences * step_flops(lm.hf, shape.n_inputs, shape.n_tokens)


def _seconds(lm: LanguageModel, shape: Pass, limit_s: float, clock: Clock) -> float:
    """Median seconds of a step after one to warm up."""
    slots = _slots(lm, shape)
    step = stepper(lm, slots)
    started = time.perf_counter()
    taken = [_timed(lm, lambda: step(shape.n_sequences), clock) for _ in range(2)][1:]
    while len(taken) < MOST_STEPS and time.perf_counter() - started < limit_s:
        taken.append(_timed(lm, lambda: step(shape.n_sequences), clock))
    return statistics.median(taken)


def _timed(lm: LanguageModel, call: Callable[[], None], clock: Clock) -> float:
    started = clock()
    call()
    if lm.device.type == "cuda":
        torch.cuda.synchronize(lm.device)
    return clock() - started


def _slots(lm: LanguageModel, shape: Pass) -> Slots:
    """Slots full of random texts: what a token is does not matter for time."""
    problems = list(_problems(lm, shape))
    recipe = Recipe(name="calibration", max_steps=MOST_STEPS + 2, stop_accuracy=None)
    slots = Slots.empty(len(problems), problems[0], recipe, lm.device)
    for slot, problem in enumerate(problems):
        slots.admit(slot, problem)
    return slots


def _problems(lm: LanguageModel, shape: Pass) -> Iterator[Problem]:
    draw = torch.Generator().manual_seed(0)
    for _ in range(shape.n_sequences):
        yield Problem(
            rows=torch.randn(2, lm.d_model, generator=draw),
            index=torch.tensor([[0, *[1] * (shape.n_inputs - 1)]]),
            targets=torch.randint(lm.vocab_size, (1, shape.n_tokens), generator=draw),
            offset=shape.n_inputs - shape.n_tokens,
        )
