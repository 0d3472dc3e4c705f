"""The batched solver: many frozen-model fits side by side.

Problems of one shape share a batch. Whenever some are solved or out of budget, their slots
are refilled from the queue, so the batch stays full to the end. What a problem's result is
depends on the problem alone: its start is drawn from its own label, its optimizer counts its
own steps, and checks fall on multiples of `CHECK_EVERY` of its own steps.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.solver.cuda_graphs import stepper
from reproducer.solver.memory import batch_inputs, batch_problems
from reproducer.solver.problem import Problem
from reproducer.solver.recipes import CHECK_EVERY, Recipe
from reproducer.solver.slots import END, TRACES, Slots, run_model


@dataclass(frozen=True)
class Solution:
    """The outcome of one problem, measured in float32.

    Attributes:
        rows: the best measured state, (n_rows, d_model), float32, on the CPU.
        correct: (n_sequences, n_tokens) bool; nats: cross-entropy, of the same shape.
        steps: optimizer steps taken; solved: whether the stopping accuracy was reached.
        seconds: this problem's share of the wall time.
        trace: name → (steps,), if asked for.
        end: what `Progress` has to know of an unsolved fit's last step, by name; else empty.
    """

    rows: Tensor
    correct: Tensor
    nats: Tensor
    steps: int
    solved: bool
    seconds: float
    trace: dict[str, Tensor]
    end: dict[str, Tensor]

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
) -> Iterator[tuple[int, Solution]]:
    """Fit all problems; yields (number of the problem, solution) as they finish.

    Args:
        lm: the frozen model.
        problems: in any order and of any shapes; those of one shape share batches.
        trace: keep accuracy, loss and teacher agreement of every step.
        progress: called with the number of text-steps done since the last call.
        max_inputs: input positions per forward pass; None chooses by device and memory.
    """
    buckets: dict[tuple, list[tuple[int, Problem]]] = {}
    for number, problem in enumerate(problems):
        buckets.setdefault(problem.shape, []).append((number, problem))
    # Longest first: if memory is short, that is known at once.
    for shape in sorted(buckets, key=lambda s: -s[1] * s[2]):
        run = _Run(lm, recipe, buckets[shape], trace, max_inputs or batch_inputs(lm))
        yield from run.solutions(progress or (lambda text_steps: None))


class _Run:
    """One bucket of problems of equal shape on its way through the slots."""

    def __init__(
        self,
        lm: LanguageModel,
        recipe: Recipe,
        bucket: list[tuple[int, Problem]],
        trace: bool,
        max_inputs: int,
    ) -> None:
        self.lm, self.queue = lm, deque(bucket)
        like = bucket[0][1]
        n_slots = min(len(bucket), batch_problems(like.n_inputs, max_inputs, lm.device))
        self.slots = Slots.empty(n_slots, like, recipe, lm.device, trace)
        self.chunk = max(1, max_inputs // like.index.shape[1])  # sequences per forward pass
        self.owner: list[int | None] = [None] * n_slots
        self.problem = [like] * n_slots
        self.steps = [0] * n_slots
        self.seconds = [0.0] * n_slots
        self.step = stepper(lm, self.slots)

    def solutions(self, progress: Callable[[int], None]) -> Iterator[tuple[int, Solution]]:
        self._refill()
        while any(owner is not None for owner in self.owner):
            self._restart_stuck()
            started = time.perf_counter()
            active = [slot for slot, owner in enumerate(self.owner) if owner is not None]
            budget = self.slots.recipe.max_steps
            n_steps = min(CHECK_EVERY, min(budget - self.steps[slot] for slot in active))
            for _ in range(n_steps):
                self._step_or_halve()
            finished = self._finished(active, n_steps)
            share = (time.perf_counter() - started) / len(active)
            for slot in active:
                self.seconds[slot] += share
            progress(n_steps * len(active) * self.slots.like.index.shape[0])
            yield from finished
            self._refill()

    def _step_or_halve(self) -> None:
        while True:
            try:
                return self.step(self.chunk)
            except torch.OutOfMemoryError as error:
                if self.chunk == 1:
                    length = self.slots.index.shape[2]
                    raise ReproducerError(
                        f"out of memory on {self.lm.device} with one sequence of {length} inputs"
                    ) from error
            # Outside the handler, so that the failed pass's tensors are free.
            self.chunk = (self.chunk + 1) // 2

    def _refill(self) -> None:
        for slot, owner in enumerate(self.owner):
            if owner is None and self.queue:
                self.owner[slot], self.problem[slot] = self.queue.popleft()
                begun = self.problem[slot].begun
                self.steps[slot] = begun.steps if begun else 0
                self.seconds[slot] = begun.seconds if begun else 0.0
                self.slots.admit(slot, self.problem[slot])
        keep = [slot for slot, owner in enumerate(self.owner) if owner is not None]
        # A CUDA graph is bound to its shapes: there, shrinking has to pay for a new one.
        few = len(keep) < len(self.owner) / (2 if self.lm.device.type == "cuda" else 1)
        if keep and few:
            self.slots = self.slots.select(keep)
            for name in ("owner", "problem", "steps", "seconds"):
                setattr(self, name, [getattr(self, name)[slot] for slot in keep])
            self.step = stepper(self.lm, self.slots)

    def _finished(self, active: list[int], n_steps: int) -> list[tuple[int, Solution]]:
        """Solutions of the slots that are done, whose slots become free."""
        budget, done = self.slots.recipe.max_steps, []
        for slot in active:
            self.steps[slot] += n_steps
        solved = self.slots.solved.tolist()
        over = [slot for slot in active if solved[slot] or self.steps[slot] >= budget]
        if not over:
            return []
        measured = measure(self.lm, self.slots.select(over), self.chunk)
        for slot, correct, nats in zip(over, *measured, strict=True):
            reached = int(correct.sum()) >= self.slots.needed
            if reached or self.steps[slot] >= budget:
                done.append((self.owner[slot], self._solution(slot, correct, nats, reached)))
                self.owner[slot] = None
            else:
                # Right in the solving dtype only: go on from here.
                self.slots.solved[slot] = False
                self.slots.best_correct[slot] = correct.sum()
                self.slots.best_nats[slot] = nats.mean()
        return done

    def _restart_stuck(self) -> None:
        every = self.slots.recipe.restart_every
        due = [
            slot
            for slot, owner in enumerate(self.owner)
            if every and owner is not None and self.steps[slot] and self.steps[slot] % every == 0
        ]
        if not due:
            return
        enough = self.slots.recipe.restart_below * self.slots.like.targets.numel()
        best = self.slots.best_correct.tolist()
        for slot in due:
            starts, number = self.problem[slot].restarts, self.steps[slot] // every - 1
            if best[slot] < enough and starts is not None and number < len(starts):
                self.slots.restart(slot, starts[number])

    def _solution(self, slot: int, correct: Tensor, nats: Tensor, reached: bool) -> Solution:
        trace = {}
        if self.slots.trace is not None:
            kept = self.slots.trace[slot, :, : self.steps[slot]].clone().cpu()
            trace = dict(zip(TRACES, kept, strict=True))
        return Solution(
            # A copy: the slot's own memory goes to the next problem.
            rows=self.slots.best_rows[slot].clone().cpu(),
            correct=correct.cpu(),
            nats=nats.cpu(),
            steps=self.steps[slot],
            solved=reached,
            seconds=self.seconds[slot],
            trace=trace,
            end={} if reached else {k: getattr(self.slots, k)[slot].clone().cpu() for k in END},
        )


@torch.no_grad()
def measure(lm: LanguageModel, slots: Slots, chunk: int) -> tuple[Tensor, Tensor]:
    """Correctness and loss of the best states in float32, (n, n_sequences, n_tokens) each."""
    table = slots.table(slots.best_rows, slots.step - 1)
    decoder = lm.decoder(torch.float32)
    correct, nats, _ = run_model(decoder, torch.float32, table, slots, chunk, train=False)
    return correct, nats
