"""Problems: what the solver sees of a spec.

One gather expresses every arrangement and every way of sharing: a problem is a table of
rows and, for each sequence, an index into it. Several positions or sequences that name one
row share it, and the gather's own gradient sums over them.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Penalty:
    """A term added to the reconstruction loss of a group (Bondarenko et al. §3.5).

    The first rows of the problem are the `e` of its sequences, one each.

    Attributes:
        term: a name in `reproducer.solver.penalties.TERMS`. `anchor` is `Σ (1 − cos(e_i, t_i))`
            over the group and needs k = d_model; `mse` and `huber` compare the off-diagonal
            cosines between the `e` with those between the teacher's vectors.
        weight: the factor of the term, at least 0.
        teacher: one vector for each sequence, (n_sequences, k), float32.
    """

    term: str
    weight: float
    teacher: Tensor


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
        terms = self.penalty and (self.penalty.term, self.penalty.teacher.shape[1])
        sizes = (len(self.rows), *self.index.shape, self.targets.shape[1], self.offset)
        return (*sizes, frozen, virtual, terms)

    @property
    def n_inputs(self) -> int:
        """Input positions over all sequences: what one forward pass costs."""
        return self.index.numel()
