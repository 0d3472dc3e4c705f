"""Specs: what is to be computed, as data whose digest is the name of the result.

A spec holds all that its result depends on, and inputs only: token ids, names, seeds, a recipe,
digests of weights. A number that some machine computed is never part of it, since another machine
would compute it a little differently and never find the result again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reproducer.models.card import model_card
from reproducer.results.warm_starts import warm_start_digest
from reproducer.solver.recipes import Recipe

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem

# In the order in which a spec of dtype "auto" looks for a stored result, alike on every machine.
DTYPES = ("bfloat16", "float32")
Dtype = Literal["auto", "float32", "bfloat16"]


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of JSON data, written canonically."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Outcome(NamedTuple):
    """What running a spec gives: metrics (JSON data) and named arrays (NumPy or PyTorch)."""

    metrics: dict[str, Any]
    arrays: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What one spec gave: the spec as JSON data, metrics, arrays and where they come from.

    `arrays` are NumPy arrays; a result that was read for its facts alone has none.
    """

    key: str
    spec: dict[str, Any]
    metrics: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


class Size(NamedTuple):
    """How large a problem is: sequences, the input positions of each, the tokens that each
    predicts, and the rows that are trained.
    """

    n_sequences: int
    n_inputs: int
    n_tokens: int
    n_rows: int

    @property
    def positions(self) -> int:
        """Input positions over all sequences: what one step costs."""
        return self.n_sequences * self.n_inputs


class Spec(BaseModel):
    """The base of all specs; `kind` names the class in stored results.

    `weights` names the model's weights exactly and is taken from the model's card. The dtype "auto"
    is a question, not part of a result: it stands for a stored result of either dtype, or for the
    fastest here; `reproducer.results.known` answers it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    model: str
    weights: str = Field(default_factory=lambda data: model_card(data["model"]).weights)
    dtype: Dtype = "auto"

    # Whether the language model itself is needed to run this.
    LOADS_MODEL: ClassVar[bool] = True
    # Whether its result is too large to be shipped only because a shipped one was computed from it.
    HEAVY: ClassVar[bool] = False

    @cached_property
    def key(self) -> str:
        """SHA-256 of the spec's canonical JSON."""
        return digest(self.model_dump(mode="json"))

    @property
    def needs(self) -> tuple[Spec, ...]:
        """The specs whose results this one is computed from."""
        return ()

    def run(self, lm: LanguageModel | None, needed: Sequence[Result]) -> Outcome:
        """Compute the outcome on `lm` from the results of `needs`, in their order."""
        raise NotImplementedError

    def settled(self, choose: Callable[[Spec], str]) -> Self:
        """This spec with every "auto" in it, innermost first, replaced by what `choose` says."""
        inner = {
            name: value
            for name in type(self).model_fields
            if (value := _settled(getattr(self, name), choose)) is not getattr(self, name)
        }
        spec = self.model_copy(update=inner) if inner else self
        return spec.model_copy(update={"dtype": choose(spec)}) if spec.dtype == "auto" else spec

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, without the cached key of the original."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("key", None)
        return copy


class Measurement(Spec):
    """A spec whose numbers are measured in float32 whatever the machine solves in."""

    dtype: Literal["float32"] = "float32"


class SolveSpec(Spec):
    """A spec that the batched solver fits: it states its problem and its recipe.

    `trace` keeps accuracy and loss of every step. `warm_start` is the digest of the vectors that
    the recipe starts `m` from.
    """

    recipe: Recipe
    seed: int = Field(0, ge=0)
    trace: bool = False
    warm_start: str = Field(
        default_factory=lambda data: warm_start_digest(data["recipe"].warm_m, data["model"])
    )

    @property
    def size(self) -> Size:
        """The size of the problem, told without a model."""
        raise NotImplementedError

    @property
    def line(self) -> tuple:
        """What stays the same while a search or growth tries its texts at other lengths."""
        return (self.key,)

    def problem(self, lm: LanguageModel, needed: Sequence[Result]) -> Problem:
        """Start values, gather index and targets on `lm`, from the results of `needs`."""
        raise NotImplementedError


def _settled(value: Any, choose: Callable[[Spec], str]) -> Any:
    """`value` with the specs in it settled; the same object where there is nothing to settle."""
    if isinstance(value, Spec):
        return value.settled(choose)
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        inner = {
            name: new for name, old in fields.items() if (new := _settled(old, choose)) is not old
        }
        return value.model_copy(update=inner) if inner else value
    # Tuples hold one kind of thing; most are thousands of token ids.
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel | tuple):
        items = tuple(_settled(item, choose) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value


def with_needs(specs: Sequence[Spec], known: Container[Spec] = ()) -> Iterator[Spec]:
    """`specs` and all that they need, each once, what is needed first.

    Nothing is needed any more for a spec whose result is `known`.
    """
    seen: set[str] = set()
    for spec in specs:
        needs = () if spec in known else spec.needs
        for needed in (*with_needs(needs, known), spec):
            if needed.key not in seen:
                seen.add(needed.key)
                yield needed
