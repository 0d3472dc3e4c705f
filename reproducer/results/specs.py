"""Specs: what is to be computed, as data whose digest is the name of the result.

A spec says everything a result depends on and nothing else: a fit holds the token ids
themselves, so that it means the same on every machine and needs no text source to run.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.results.warm_starts import warm_m
from reproducer.solver.arrangements import arrangement
from reproducer.solver.problem import Penalty, Problem
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import Text


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of JSON data, written canonically."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Spec(BaseModel):
    """The base of all specs; `kind` names the class in stored results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    model: str
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    @cached_property
    def key(self) -> str:
        """SHA-256 of the spec's canonical JSON."""
        return digest(self.model_dump(mode="json"))


class SolveSpec(Spec):
    """A spec that the batched solver fits: it states its problem and its recipe."""

    recipe: Recipe
    seed: int = Field(0, ge=0)
    trace: bool = False

    def problem(self, lm: LanguageModel) -> Problem:
        """Start values, gather index and targets on `lm`."""
        raise NotImplementedError


class PenaltySpec(BaseModel):
    """A penalty as data: `reproducer.solver.problem.Penalty` with the teacher's numbers.

    With `start_at_teacher` every `e` starts at its teacher vector, which must then be as wide as
    the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    term: Literal["anchor", "mse", "huber"]
    weight: float = Field(ge=0)
    teacher: tuple[tuple[float, ...], ...]
    start_at_teacher: bool = False

    def penalty(self) -> Penalty:
        return Penalty(self.term, self.weight, torch.tensor(self.teacher))


class FitSpec(SolveSpec):
    """Proto-tokens for one text, or for a group of texts that share `e` or `m`.

    The group's sequences are its texts, each `copies` times (solutions that start apart and
    share what is shared); a text may also be named several times, to the same effect. Rows of
    the solution: the `e` of every sequence, or the shared one, then likewise `m`. Fields of the
    base: `recipe`, `seed`, `trace` (keep accuracy and loss of every step).
    """

    kind: Literal["fit"] = "fit"
    arrangement: str
    texts: tuple[Text, ...] = Field(min_length=1)
    share: Literal["none", "e", "m"] = "none"
    copies: int = Field(1, ge=1)
    penalty: PenaltySpec | None = None

    ROLES: ClassVar[str] = "em"

    @model_validator(mode="after")
    def _consistent(self) -> FitSpec:
        lengths = {len(t.tokens) for t in self.texts}
        if len(lengths) != 1:
            raise ValueError(f"expected texts of one length in a group, got {sorted(lengths)}")
        if self.penalty and len(self.penalty.teacher) != len(self.sequences):
            raise ValueError(
                f"expected one teacher vector for each of {len(self.sequences)} sequences, "
                f"got {len(self.penalty.teacher)}"
            )
        if self.penalty and self.share == "e":
            raise ValueError("expected an own `e` for each sequence under a penalty, got one")
        return self

    @property
    def n_tokens(self) -> int:
        return len(self.texts[0].tokens)

    @property
    def sequences(self) -> tuple[Text, ...]:
        """The text of each of the group's sequences."""
        return tuple(text for text in self.texts for _ in range(self.copies))

    def row_of(self, role: str, sequence: int) -> int:
        """Which row of the solution is the `role` token of `sequence`."""
        n_e = 1 if self.share == "e" else len(self.sequences)
        first = 0 if role == "e" else n_e
        return first + (0 if self.share == role else sequence)

    def problem(self, lm: LanguageModel) -> Problem:
        pattern = arrangement(self.arrangement)
        roles = pattern.roles(self.n_tokens)
        require_positions(lm, len(roles))
        index = [[self.row_of(role, s) for role in roles] for s in range(len(self.sequences))]
        targets = [text.tokens for text in self.sequences]
        every = self.recipe.restart_every
        attempts = range(1, self.recipe.max_steps // every + 1 if every else 1)
        starts = [self._start(lm.d_model, attempt) for attempt in attempts]
        return Problem(
            rows=self._start(lm.d_model),
            restarts=torch.stack(starts) if starts else None,
            index=torch.tensor(index),
            targets=torch.tensor(targets),
            offset=pattern.offset,
            penalty=self.penalty and self.penalty.penalty(),
        )

    def _start(self, d_model: int, attempt: int = 0) -> Tensor:
        rows = []
        again = (f"attempt {attempt}",) if attempt else ()
        for role in self.ROLES:
            shared = self.share == role
            copies: Counter[Text] = Counter()
            for text in self.sequences[: 1 if shared else None]:
                if role == "m" and self.recipe.warm_m:
                    rows.append(warm_m(self.recipe.warm_m, self.model))
                    continue
                owner = ",".join(t.digest for t in self.texts) if shared else text.digest
                copy, copies[text] = copies[text], copies[text] + 1
                label = (role, owner, str(copy), *again)
                rows.append(draw_row(d_model, self.recipe, self.seed, *label))
        start = torch.stack(rows)
        if self.penalty and self.penalty.start_at_teacher:
            teacher = torch.tensor(self.penalty.teacher)
            if teacher.shape[1] != d_model:
                raise ReproducerError(
                    f"expected teacher vectors of width {d_model} to start at, "
                    f"got {teacher.shape[1]}"
                )
            start[: len(teacher)] = teacher
        return start


def draw_row(d_model: int, recipe: Recipe, seed: int, *label: str) -> Tensor:
    """A start row (d_model,) from N(0, init_std²).

    Drawn on the CPU from a generator seeded by seed and label, so it depends neither on the
    device nor on what else is solved.
    """
    mark = hashlib.sha256("|".join((str(seed), *label)).encode()).digest()
    draw = torch.Generator().manual_seed(int.from_bytes(mark[:7], "big"))
    return torch.randn(d_model, generator=draw) * recipe.init_std


def require_positions(lm: LanguageModel, n_inputs: int) -> None:
    """Raise if `n_inputs` input positions are more than the model has."""
    if n_inputs > lm.max_positions:
        raise ReproducerError(
            f"model {lm.name!r}: expected at most its {lm.max_positions} positions, got {n_inputs}"
        )
