"""Problems: what the solver sees of a spec.

One gather expresses every arrangement and every way of sharing: a problem is a table of
rows and, for each sequence, an index into it. Several positions or sequences that name one
row share it, and the gather's own gradient sums over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor


class Penalty(BaseModel):
    """A term added to the reconstruction loss of a group (Bondarenko et al. §3.5).

    `anchor` is `weight · Σ (1 − cos(e_i, t_i))` over the group; `mse` and `huber` compare the
    off-diagonal cosine matrices of the `e` and of the teacher's vectors (`teacher`, one a
    sequence), times `weight`. With `start_at_teacher` every `e` starts at its teacher vector,
    which must then be as wide as the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    term: Literal["anchor", "mse", "huber"]
    weight: float = Field(ge=0)
    teacher: tuple[tuple[float, ...], ...]
    start_at_teacher: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a fit stood when its budget ended, for one that goes on from there.

    Attributes:
        steps: optimizer steps done; seconds: wall time they took.
        rows, exp_avg, exp_avg_sq: rows and AdamW's moments, (n_rows, d_model) each, float32.
        best_rows: the best measured state; best_correct, best_nats: its right tokens and loss as
            the fit saw them, in its own dtype, of shape ().
        trace: (n_traces, steps), or None.
    """

    steps: int
    seconds: float
    rows: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    best_rows: Tensor
    best_correct: Tensor
    best_nats: Tensor
    trace: Tensor | None = None


@dataclass(frozen=True)
class Problem:
    """One unit of solving: rows that are trained together.

    Attributes:
        rows: start values of the trainable rows, (n_rows, d_model), float32.
        index: (n_sequences, n_inputs) into the rows followed by `frozen`.
        targets: token ids, (n_sequences, n_tokens).
        offset: the first input that predicts; inputs `offset … offset + n_tokens − 1` do.
        frozen: rows that are read but not trained, (n_frozen, d_model), or None.
        mixture: coefficients (max_steps, n_virtual, n_rows + n_frozen) of every step, or None.
            With it the index points into the virtual rows `mixture[step] @ table`: this is how
            a point on a curve between solutions is fed.
        penalty: a further term of the loss, or None.
        restarts: start values (n_restarts, n_rows, d_model) for a recipe that restarts, or None.
        begun: where an earlier fit of this problem stood, or None.
    """

    rows: Tensor
    index: Tensor
    targets: Tensor
    offset: int = 0
    frozen: Tensor | None = None
    mixture: Tensor | None = None
    penalty: Penalty | None = None
    restarts: Tensor | None = None
    begun: Progress | None = None

    @property
    def shape(self) -> tuple:
        """Problems of equal shape can share a batch."""
        frozen = 0 if self.frozen is None else len(self.frozen)
        virtual = 0 if self.mixture is None else self.mixture.shape[1]
        terms = self.penalty and (self.penalty.term, len(self.penalty.teacher[0]))
        sizes = (len(self.rows), *self.index.shape, self.targets.shape[1], self.offset)
        return (*sizes, frozen, virtual, terms)

    @property
    def n_inputs(self) -> int:
        """Input positions over all sequences: what one forward pass costs."""
        return self.index.numel()
