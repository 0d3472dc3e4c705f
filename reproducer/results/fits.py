"""Fits of proto-tokens: the spec that most experiments are made of."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reproducer.errors import ReproducerError
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Result, Size, SolveSpec
from reproducer.results.warm_starts import warm_m
from reproducer.solver.arrangements import arrangement
from reproducer.texts.sources import Text
from reproducer.texts.teachers import TEACHERS, to_width

if TYPE_CHECKING:
    import torch

    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem
    from reproducer.solver.recipes import Recipe


class Regularizer(BaseModel):
    """A term added to the reconstruction loss of a group (Bondarenko et al. §3.5).

    `anchor` is `weight · Σ (1 − cos(e_i, t_i))` over the group; `mse` and `huber` compare the
    off-diagonal cosine matrices of the `e` and of the teacher's vectors, times `weight`. `teacher`
    says which encoder reads which sentence for each of the group's sequences. With
    `start_at_teacher` every `e` starts at its teacher vector.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    term: Literal["anchor", "mse", "huber"]
    weight: float = Field(ge=0)
    teacher: SentenceVectorsSpec
    start_at_teacher: bool = False

    def teacher_rows(self, d_model: int, vectors: Result) -> torch.Tensor:
        """The teacher's vectors (n_sequences, k): brought to the model's width for the anchor.

        Relations between vectors need no common width, so for them the teacher keeps its own.

        Raises:
            ReproducerError: vectors that are wider than the model, or too narrow to start at.
        """
        import torch

        rows = torch.from_numpy(vectors.arrays["vectors"])
        if self.term == "anchor":
            return to_width(rows, d_model, TEACHERS[self.teacher.model].matryoshka)
        if self.start_at_teacher and rows.shape[1] != d_model:
            raise ReproducerError(
                f"expected teacher vectors of width {d_model} to start at, got {rows.shape[1]}"
            )
        return rows


class FitSpec(SolveSpec):
    """Proto-tokens for one text, or for a group of texts that share `e` or `m`.

    The group's sequences are its texts, each `copies` times (solutions that start apart and
    share what is shared); a text may also be named several times, to the same effect. Rows of
    the solution: the `e` of every sequence, or the shared one, then likewise `m`.
    """

    kind: Literal["fit"] = "fit"
    arrangement: str
    texts: tuple[Text, ...] = Field(min_length=1)
    share: Literal["none", "e", "m"] = "none"
    copies: int = Field(1, ge=1)
    penalty: Regularizer | None = None

    ROLES: ClassVar[str] = "em"

    @model_validator(mode="after")
    def _consistent(self) -> FitSpec:
        lengths = {len(t.tokens) for t in self.texts}
        if len(lengths) != 1:
            raise ValueError(f"expected texts of one length in a group, got {sorted(lengths)}")
        if self.penalty and len(self.penalty.teacher.sentences) != len(self.sequences):
            raise ValueError(
                f"expected one teacher sentence for each of {len(self.sequences)} sequences, "
                f"got {len(self.penalty.teacher.sentences)}"
            )
        if self.penalty and self.share == "e":
            raise ValueError("expected an own `e` for each sequence under a penalty, got one")
        return self

    @property
    def needs(self) -> tuple[SentenceVectorsSpec, ...]:
        return (self.penalty.teacher,) if self.penalty else ()

    @property
    def n_tokens(self) -> int:
        return len(self.texts[0].tokens)

    @property
    def sequences(self) -> tuple[Text, ...]:
        """The text of each of the group's sequences."""
        return tuple(text for text in self.texts for _ in range(self.copies))

    @property
    def size(self) -> Size:
        n_sequences = len(self.texts) * self.copies
        n_inputs = arrangement(self.arrangement).n_inputs(self.n_tokens)
        n_rows = self.row_of(self.ROLES[-1], n_sequences - 1) + 1
        return Size(n_sequences, n_inputs, self.n_tokens, n_rows)

    @property
    def line(self) -> tuple:
        texts = ((text.source, text.id) for text in self.texts)
        return (self.model, self.arrangement, self.share, self.copies, self.seed, *texts)

    def row_of(self, role: str, sequence: int) -> int:
        """Which row of the solution is the `role` token of `sequence`."""
        n_e = 1 if self.share == "e" else len(self.sequences)
        first = 0 if role == "e" else n_e
        return first + (0 if self.share == role else sequence)

    def problem(self, lm: LanguageModel, needed: Sequence[Result] = ()) -> Problem:
        import torch

        from reproducer.solver.problem import Penalty, Problem

        pattern = arrangement(self.arrangement)
        roles = pattern.roles(self.n_tokens)
        require_positions(lm, len(roles))
        require_tokens(lm, (token for text in self.texts for token in text.tokens))
        index = [[self.row_of(role, s) for role in roles] for s in range(len(self.sequences))]
        teacher = self.penalty and self.penalty.teacher_rows(lm.d_model, needed[0])
        every = self.recipe.restart_every
        attempts = range(1, self.recipe.max_steps // every + 1 if every else 1)
        starts = [self.start(lm.d_model, teacher, attempt) for attempt in attempts]
        return Problem(
            rows=self.start(lm.d_model, teacher),
            restarts=torch.stack(starts) if starts else None,
            index=torch.tensor(index),
            targets=torch.tensor([text.tokens for text in self.sequences]),
            offset=pattern.offset,
            penalty=self.penalty and Penalty(self.penalty.term, self.penalty.weight, teacher),
        )

    def start(
        self, d_model: int, teacher: torch.Tensor | None = None, attempt: int = 0
    ) -> torch.Tensor:
        """Where the rows of the solution start, (n_rows, d_model), before restart `attempt`.

        A row is drawn by its role, its text, the number of the text's copy and the seed; under a
        recipe with a common start the text has no part in it.
        """
        import torch

        rows = []
        again = (f"attempt {attempt}",) if attempt else ()
        for role in self.ROLES:
            shared = self.share == role
            copies: Counter[Text] = Counter()
            for text in self.sequences[: 1 if shared else None]:
                if role == "m" and self.recipe.warm_m:
                    rows.append(warm_m(self.recipe.warm_m, self.model, self.warm_start, d_model))
                    continue
                owner = ",".join(t.digest for t in self.texts) if shared else text.digest
                owner = "common" if self.recipe.start == "common" else owner
                copy, copies[text] = copies[text], copies[text] + 1
                label = (role, owner, str(copy), *again)
                rows.append(draw_row(d_model, self.recipe, self.seed, *label))
        start = torch.stack(rows)
        if self.penalty and self.penalty.start_at_teacher:
            start[: len(teacher)] = teacher
        return start


def draw_row(d_model: int, recipe: Recipe, seed: int, *label: str) -> torch.Tensor:
    """A start row (d_model,) from N(0, init_std²).

    Drawn on the CPU from a generator seeded by seed and label, so it depends neither on the
    device nor on what else is solved.
    """
    import torch

    mark = hashlib.sha256("|".join((str(seed), *label)).encode()).digest()
    draw = torch.Generator().manual_seed(int.from_bytes(mark[:7], "big"))
    return torch.randn(d_model, generator=draw) * recipe.init_std


def require_tokens(lm: LanguageModel, tokens: Iterable[int]) -> None:
    """Raise if a token id is none of the model's."""
    if (largest := max(tokens)) >= lm.vocab_size:
        raise ReproducerError(
            f"model {lm.name!r}: expected token ids below {lm.vocab_size}, got {largest}"
        )


def require_positions(lm: LanguageModel, n_inputs: int) -> None:
    """Raise if `n_inputs` input positions are more than the model has."""
    if n_inputs > lm.max_positions:
        raise ReproducerError(
            f"model {lm.name!r}: expected at most its {lm.max_positions} positions, got {n_inputs}"
        )
