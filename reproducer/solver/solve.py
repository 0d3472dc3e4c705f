"""The batched solver: many frozen-model fits side by side.

Problems of one shape share a batch. Whenever one has ended, the next in the queue takes its slot,
so the batch stays full to the end. What a problem's result is depends on the problem alone: its
start is drawn from its own label, its optimizer counts its own steps, and checks fall on multiples
of `CHECK_EVERY` of its own steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from reproducer.interrupts import uninterrupted
from reproducer.models.language_model import LanguageModel
from reproducer.solver.cuda_graphs import stepper
from reproducer.solver.memory import (
    ShortOfMemoryError,
    batch_inputs,
    batch_problems,
    is_out_of_memory,
)
from reproducer.solver.problem import Problem
from reproducer.solver.recipes import CHECK_EVERY, Recipe
from reproducer.solver.slots import END, TRACES, Slots, run_model

Done = TypeVar("Done")


@dataclass(frozen=True)
class Solution:
    """The outcome of one problem, measured in float32.

    Attributes:
        rows: the best measured state, (n_rows, d_model), float32, on the CPU.
        correct: (n_sequences, n_tokens) bool; nats: cross-entropy, of the same shape.
        steps: optimizer steps taken.
        solved: whether the stopping accuracy was reached, measured in float32.
        seconds: this problem's share of the wall time.
        trace: name → (steps,), if asked for.
        end: what `Progress` has to know of an unsolved fit's last step, by name; else empty.
        failed_at: the steps after which a check saw that loss, rows or moments had not stayed
            finite, and ended the unsolved fit; else None. Its rows are its best state with a finite
            loss, or its start where there was none.
    """

    rows: Tensor
    correct: Tensor
    nats: Tensor
    steps: int
    solved: bool
    seconds: float
    trace: dict[str, Tensor]
    end: dict[str, Tensor]
    failed_at: int | None = None

    @property
    def accuracy(self) -> Tensor:
        """Share of right tokens of each sequence, (n_sequences,)."""
        return self.correct.double().mean(1)  # in float32, 9 of 10 would be less than 0.9


def solve(
    lm: LanguageModel,
    problems: Iterable[Problem],
    recipe: Recipe,
    *,
    trace: bool = False,
    progress: Callable[[int], None] | None = None,
    max_inputs: int | None = None,
    admit: Callable[[int], bool] = lambda number: True,
) -> Iterator[tuple[int, Solution]]:
    """Fit all problems; yields (number of the problem, solution) as they finish.

    Args:
        lm: the frozen model.
        problems: in any order and of any shapes; those of one shape share batches.
        recipe: of all the problems.
        trace: keep accuracy, loss and teacher agreement of every step.
        progress: called with the number of text-steps done since the last call.
        max_inputs: input positions per forward pass; None chooses by device and memory.
        admit: asked with a problem's number before it takes a slot; False leaves it out.

    Raises:
        ShortOfMemoryError: one sequence alone needs more memory than there is.
    """
    buckets: dict[tuple, list[tuple[int, Problem]]] = {}
    for number, problem in enumerate(problems):
        buckets.setdefault(problem.shape, []).append((number, problem))
    # Longest first: if memory is short, that is known at once.
    for shape in sorted(buckets, key=lambda s: -s[1] * s[2]):
        run = _Run(lm, recipe, buckets[shape], trace, max_inputs or batch_inputs(lm), admit)
        yield from run.solutions(progress or (lambda text_steps: None))


@dataclass(eq=False)
class _Fit:
    """What the host knows of the fit in one slot; `number` is its problem's place in the call."""

    number: int
    problem: Problem
    steps: int = 0
    seconds: float = 0.0


class _Run:
    """One bucket of problems of equal shape on its way through the slots."""

    def __init__(
        self,
        lm: LanguageModel,
        recipe: Recipe,
        bucket: list[tuple[int, Problem]],
        trace: bool,
        max_inputs: int,
        admit: Callable[[int], bool],
    ) -> None:
        self.lm, self.queue, self.admit = lm, deque(bucket), admit
        like = bucket[0][1]
        n_slots = min(len(bucket), batch_problems(like.n_inputs, max_inputs, lm.device))
        self.slots = Slots.empty(n_slots, like, recipe, lm.device, trace)
        self.chunk = max(1, max_inputs // like.index.shape[1])  # sequences per forward pass
        self.fits: list[_Fit | None] = [None] * n_slots
        self.step = stepper(lm, self.slots)

    def solutions(self, progress: Callable[[int], None]) -> Iterator[tuple[int, Solution]]:
        self._refill()
        while active := self._active():
            self._restart_stuck()
            started = time.perf_counter()
            most_steps = max(fit.steps for fit in active.values())
            n_steps = min(CHECK_EVERY, self.slots.recipe.max_steps - most_steps)
            for _ in range(n_steps):
                self._halving(self.step)
            for fit in active.values():
                fit.steps += n_steps
            # What has ended is measured and handed over, even if a signal comes meanwhile.
            with uninterrupted():
                ended = self._ended()
                share = (time.perf_counter() - started) / len(active)
                for fit in active.values():
                    fit.seconds += share
                progress(n_steps * len(active) * self.slots.like.index.shape[0])
                for slot, *outcome in ended:
                    yield active[slot].number, self._solution(slot, *outcome)
                    self.fits[slot] = None
            self._refill()

    def _active(self) -> dict[int, _Fit]:
        return {slot: fit for slot, fit in enumerate(self.fits) if fit is not None}

    def _halving(self, function: Callable[[int], Done]) -> Done:
        """`function` of the chunk, which is halved for as long as memory runs short."""
        while True:
            try:
                return function(self.chunk)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.chunk == 1:
                    length = self.slots.index.shape[2]
                    raise ShortOfMemoryError(
                        f"out of memory on {self.lm.device} with one sequence of {length} inputs "
                        f"at a time, in a batch of {len(self.fits)} fits"
                    ) from error
            # Outside the handler, so that the failed pass's tensors are free.
            self.chunk = (self.chunk + 1) // 2

    def _refill(self) -> None:
        for slot, fit in enumerate(self.fits):
            while fit is None and self.queue:
                number, problem = self.queue.popleft()
                if not self.admit(number):
                    continue
                done = (problem.begun.steps, problem.begun.seconds) if problem.begun else ()
                self.fits[slot] = fit = _Fit(number, problem, *done)
                self.slots.admit(slot, problem)
        keep = list(self._active())
        # A CUDA graph is bound to its shapes: there, shrinking has to pay for a new one.
        few = len(keep) < len(self.fits) / (2 if self.lm.device.type == "cuda" else 1)
        if keep and few:
            self.slots = self.slots.select(keep)
            self.fits = [self.fits[slot] for slot in keep]
            self.step = stepper(self.lm, self.slots)

    def _ended(self) -> list[tuple[int, Tensor, Tensor]]:
        """The fits that have ended: slot, correctness and loss in float32."""
        active, budget = self._active(), self.slots.recipe.max_steps
        # The last step's loss may be the last that is a number.
        self.slots.failed |= ~self.slots.finite()
        reached, failed = torch.stack([self.slots.reached, self.slots.failed]).tolist()
        final = {slot for slot, fit in active.items() if failed[slot] or fit.steps >= budget}
        over = [slot for slot in active if reached[slot] or slot in final]
        if not over:
            return []
        ended = []
        measured = self._halving(partial(measure, self.lm, self.slots.select(over)))
        for slot, correct, nats in zip(over, *measured, strict=True):
            if slot in final or int(correct.sum()) >= self.slots.needed:
                ended.append((slot, correct, nats))
            else:
                # Right in the solving dtype only: go on from here.
                self.slots.reached[slot] = False
                self.slots.best_correct[slot] = correct.sum()
                self.slots.best_nats[slot] = nats.mean()
        return ended

    def _restart_stuck(self) -> None:
        every = self.slots.recipe.restart_every
        due = [
            (slot, fit)
            for slot, fit in self._active().items()
            if every and fit.steps and fit.steps % every == 0
        ]
        if not due:
            return
        enough = self.slots.recipe.restart_below * self.slots.like.targets.numel()
        best = self.slots.best_correct.tolist()
        for slot, fit in due:
            starts, attempt = fit.problem.restarts, fit.steps // every - 1
            if best[slot] < enough and starts is not None and attempt < len(starts):
                self.slots.restart(slot, starts[attempt])

    def _solution(self, slot: int, correct: Tensor, nats: Tensor) -> Solution:
        fit, trace = self.fits[slot], {}
        solved = int(correct.sum()) >= self.slots.needed
        if self.slots.trace is not None:
            kept = self.slots.trace[slot, :, : fit.steps].clone().cpu()
            trace = dict(zip(TRACES, kept, strict=True))
        return Solution(
            # A copy: the slot's own memory goes to the next problem.
            rows=self.slots.best_rows[slot].clone().cpu(),
            correct=correct.cpu(),
            nats=nats.cpu(),
            steps=fit.steps,
            solved=solved,
            seconds=fit.seconds,
            trace=trace,
            end={} if solved else {k: getattr(self.slots, k)[slot].clone().cpu() for k in END},
            failed_at=fit.steps if self.slots.failed[slot] and not solved else None,
        )


@torch.no_grad()
def measure(lm: LanguageModel, slots: Slots, chunk: int) -> tuple[Tensor, Tensor]:
    """Correctness and loss of the best states in float32, (n, n_sequences, n_tokens) each."""
    table = slots.table(slots.best_rows, slots.step - 1)
    decoder = lm.decoder(torch.float32)
    correct, nats, _ = run_model(decoder, torch.float32, table, slots, chunk, train=False)
    return correct, nats
