"""Slots: the state of the problems that are being solved side by side.

Every tensor has the slots as its first axis and keeps its address for life: problems are
written into slots and steps update in place, so a step can be recorded once as a CUDA graph
and replayed. Nothing in a step depends on values on the host.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor, nn

from reproducer.decoder.head import head_loss
from reproducer.decoder.parallel import n_workers, part_sizes, run_parts
from reproducer.solver.adamw import adamw_step
from reproducer.solver.penalties import AGREEMENT, TERMS
from reproducer.solver.problem import Problem, Progress
from reproducer.solver.recipes import Recipe

TRACES = ("accuracy", "loss_nats", "agreement")
# What a fit needs to go on later, beside its best rows: see `Progress`.
END = ("rows", "exp_avg", "exp_avg_sq", "best_correct", "best_nats")


@dataclass
class Slots:
    """State of `n` problems of one shape (see `Problem.shape`).

    `correct` counts right tokens over all sequences of a problem; `nats` is the mean loss of
    its tokens. `best_*` belong to the best state *measured*: most correct, then least loss; a state
    whose loss is not finite is none.
    """

    rows: Tensor  # (n, n_rows, d)
    exp_avg: Tensor
    exp_avg_sq: Tensor
    best_rows: Tensor
    step: Tensor  # (n,) steps done
    best_correct: Tensor  # (n,)
    best_nats: Tensor  # (n,)
    reached: Tensor  # (n,) bool, the stopping accuracy, in the dtype of solving
    failed: Tensor  # (n,) bool, at some step the loss or what moves the rows was not finite
    index: Tensor  # (n, n_sequences, n_inputs)
    targets: Tensor  # (n, n_sequences, n_tokens)
    frozen: Tensor | None  # (n, n_frozen, d)
    mixture: Tensor | None  # (n, max_steps, n_virtual, n_rows + n_frozen)
    teacher: Tensor | None  # (n, n_sequences, k)
    weight: Tensor | None  # (n,)
    trace: Tensor | None  # (n, len(TRACES), max_steps)
    like: Problem
    recipe: Recipe

    @classmethod
    def empty(
        cls, n: int, like: Problem, recipe: Recipe, device: torch.device, trace: bool = False
    ) -> Slots:
        """`n` slots for problems of `like`'s shape."""

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(n, *shape, device=device, dtype=dtype)

        def room(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else zeros(*tensor.shape, dtype=tensor.dtype)

        return cls(
            **{k: room(like.rows) for k in ("rows", "exp_avg", "exp_avg_sq", "best_rows")},
            step=zeros(dtype=torch.long),
            best_correct=zeros(dtype=torch.long),
            best_nats=zeros(),
            reached=zeros(dtype=torch.bool),
            failed=zeros(dtype=torch.bool),
            index=room(like.index),
            targets=room(like.targets),
            frozen=room(like.frozen),
            mixture=room(like.mixture),
            teacher=room(like.penalty.teacher) if like.penalty else None,
            weight=zeros() if like.penalty else None,
            trace=zeros(len(TRACES), recipe.max_steps) if trace else None,
            like=like,
            recipe=recipe,
        )

    @property
    def needed(self) -> int:
        """Right tokens that the stopping accuracy asks of a problem; all and one more for None."""
        if self.recipe.stop_accuracy is None:
            return self.like.targets.numel() + 1
        # The slack keeps 0.9 · 10 tokens from asking for 10.
        return math.ceil(self.recipe.stop_accuracy * self.like.targets.numel() - 1e-9)

    def tensors(self) -> dict[str, Tensor]:
        """All state tensors by name."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in named.items() if isinstance(v, Tensor)}

    def admit(self, slot: int, problem: Problem) -> None:
        """Write a problem into a slot, fresh or as far as it has come."""
        for name in ("exp_avg", "exp_avg_sq", "step", "reached", "failed", "trace"):
            if (state := getattr(self, name)) is not None:
                state[slot] = 0
        self.best_correct[slot] = -1
        self.best_nats[slot] = math.inf
        for name in ("rows", "index", "targets", "frozen", "mixture"):
            if (value := getattr(problem, name)) is not None:
                getattr(self, name)[slot] = value.to(self.rows.device)
        self.best_rows[slot] = self.rows[slot]
        if problem.penalty:
            self.teacher[slot] = problem.penalty.teacher.to(self.rows.device)
            self.weight[slot] = problem.penalty.weight
        if problem.begun:
            self._resume(slot, problem.begun)

    def _resume(self, slot: int, begun: Progress) -> None:
        for name in (*END, "best_rows"):
            getattr(self, name)[slot] = getattr(begun, name).to(self.rows.device)
        self.step[slot] = begun.steps
        if self.trace is not None:
            self.trace[slot, :, : begun.steps] = begun.trace.to(self.rows.device)

    def restart(self, slot: int, rows: Tensor) -> None:
        """Begin again at `rows` (n_rows, d) with an optimizer at rest; the best state is kept."""
        self.rows[slot] = rows.to(self.rows.device)
        self.exp_avg[slot] = 0
        self.exp_avg_sq[slot] = 0

    def select(self, keep: list[int]) -> Slots:
        """New slots with the problems of `keep` only."""
        chosen = {k: v[keep].clone() for k, v in self.tensors().items()}
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in chosen}
        return Slots(**chosen, **rest)

    def finite(self) -> Tensor:
        """Whether rows and moments are all numbers, (n,) bool."""
        state = (self.rows, self.exp_avg, self.exp_avg_sq)
        return torch.stack([part.isfinite().flatten(1).all(1) for part in state]).all(0)

    def table(self, rows: Tensor, step: Tensor) -> Tensor:
        """What the index points into at 0-based `step` (n,): (n, n_table, d)."""
        full = rows if self.frozen is None else torch.cat([rows, self.frozen], dim=1)
        if self.mixture is None:
            return full
        last = self.mixture.shape[1] - 1
        now = step.clamp(max=last).view(-1, 1, 1, 1).expand(-1, 1, *self.mixture.shape[2:])
        return self.mixture.gather(1, now).squeeze(1) @ full

    def backward(self, decoder: nn.Module, dtype: torch.dtype, chunk: int) -> tuple[Tensor, ...]:
        """Gradient of the loss at the current rows.

        The loss of a problem is the sum over its sequences of the mean cross-entropy of their
        tokens, plus the penalty. At most `chunk` sequences run through the model at a time.

        Returns:
            gradient (n, n_rows, d), correct (n,), nats (n,), agreement (n,).
        """
        leaf = self.rows.detach().requires_grad_()
        table = self.table(leaf, self.step)
        correct, nats, grad = run_model(decoder, dtype, table, self, chunk, train=True)
        roots, seeds = [table], [grad]
        agreement = torch.zeros_like(self.best_nats)
        if (penalty := self.like.penalty) is not None:
            e = leaf[:, : self.teacher.shape[1]]
            roots.append((TERMS[penalty.term](e, self.teacher) * self.weight).sum())
            seeds.append(None)
            agreement = AGREEMENT[penalty.term](e.detach(), self.teacher)
        torch.autograd.backward(roots, seeds)
        return leaf.grad, correct.sum((1, 2)), nats.mean((1, 2)), agreement

    @torch.no_grad()
    def advance(self, grad: Tensor, correct: Tensor, nats: Tensor, agreement: Tensor) -> None:
        """Keep the measured state if it is the best, note the trace, move the rows."""
        if self.trace is not None:
            accuracy = correct / self.like.targets.numel()
            now = torch.stack([accuracy, nats, agreement], dim=1)[..., None]
            slot = self.step.clamp(max=self.trace.shape[2] - 1).view(-1, 1, 1)
            self.trace.scatter_(2, slot.expand(-1, len(TRACES), 1), now)
        finite = nats.isfinite()
        self.failed |= ~finite
        better = (correct > self.best_correct) | (
            (correct == self.best_correct) & (nats < self.best_nats)
        )
        # A point that moves along a curve has no state that is best everywhere: keep the last.
        better = finite & (better & ~self.reached if self.mixture is None else True)
        self.best_rows.copy_(torch.where(better.view(-1, 1, 1), self.rows, self.best_rows))
        self.best_correct.copy_(torch.where(better, correct, self.best_correct))
        self.best_nats.copy_(torch.where(better, nats, self.best_nats))
        if self.mixture is None:
            self.reached |= finite & (correct >= self.needed)
        self.step += 1
        adamw_step(self.rows, grad, self.exp_avg, self.exp_avg_sq, self.step, self.recipe)


def run_model(
    decoder: nn.Module,
    dtype: torch.dtype,
    table: Tensor,
    slots: Slots,
    chunk: int,
    train: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Feed every sequence of `slots` from `table` (n, n_table, d) through the model.

    Returns:
        correct (n, n_sequences, n_tokens) bool and nats of the same shape, float32; with `train`,
        also the gradient of the sequences' summed loss in `table`. A token whose loss is not finite
        is not correct.
    """
    n, n_table, d = table.shape
    first = torch.arange(n, device=table.device).view(-1, 1, 1) * n_table
    index = (slots.index + first).flatten(0, 1)  # (sequences, n_inputs) into all rows
    x = table.detach().flatten(0, 1).index_select(0, index.flatten()).to(dtype)
    workers = n_workers(table.device, index.numel())
    sizes = part_sizes(len(index), chunk, workers)
    read = partial(_read_part, decoder, slots.like.offset, train)
    inputs = x.view(*index.shape, d).split(sizes)
    targets = slots.targets.flatten(0, 1).split(sizes)
    done = run_parts(read, list(zip(inputs, targets, strict=True)), workers)
    correct, nats, grads = zip(*done, strict=True)
    correct, nats = (torch.cat(parts).view(slots.targets.shape) for parts in (correct, nats))
    if not train:
        return correct, nats, None
    grad = torch.cat(grads).to(table.dtype).view(-1, d)
    flat = torch.zeros_like(table).view(-1, d).index_add_(0, index.flatten(), grad)
    return correct, nats, flat.view(table.shape)


def _read_part(
    decoder: nn.Module, offset: int, train: bool, part: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Correctness, loss and, with `train`, the gradient of the inputs of some sequences."""
    x, targets = part
    n_tokens = targets.shape[1]
    with torch.set_grad_enabled(train):  # a thread's own setting, which a worker does not inherit
        x = x.detach().requires_grad_(train)
        hidden = decoder(x)[:, offset : offset + n_tokens].reshape(-1, x.shape[-1])
        nats, predicted = head_loss(hidden, decoder.head, decoder.head_bias, targets.flatten())
        if train:
            (nats.sum() / n_tokens).backward()
    # Of logits that are all NaN the prediction is a word like any other.
    correct = (predicted == targets.flatten()) & nats.isfinite()
    return correct.view(targets.shape), nats.detach().view(targets.shape), x.grad
