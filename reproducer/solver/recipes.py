"""Recipes: how a fit starts, moves and stops, as data.

`paper` is the recipe of both papers (Mezentsev & Oseledets §3; Bondarenko et al. §3.1) and
the default of every reproduction. Other recipes are named, compared, and never used
silently.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from reproducer.errors import require_name

if TYPE_CHECKING:  # plans and tables read recipes and need no torch
    from torch import Tensor

# After so many of its own steps a fit is looked at: is it solved, failed, stuck, out of budget?
CHECK_EVERY = 10


class Recipe(BaseModel):
    """Initialisation, optimizer, budget and stopping of one fit.

    Every component of a proto-token starts from N(0, `init_std`²), drawn for each text by itself
    (`start` "own") or once for all texts of a seed ("common"). AdamW follows with decoupled weight
    decay. A fit ends when the accuracy over its tokens reaches `stop_accuracy` (None: it goes on),
    or after `max_steps`. With `decay_to` below 1 the learning rate falls along a half cosine from
    `lr` to `decay_to · lr` at `max_steps`. With `warm_m` every `m` starts at the vector of that
    name (`reproducer.results.warm_starts`) instead. With `restart_every`, a fit whose best accuracy
    is below `restart_below` after that many steps, or a multiple, begins again from a fresh draw;
    its budget goes on and its best state is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    init_std: float = Field(1.0, ge=0)
    start: Literal["own", "common"] = "own"
    warm_m: str = ""
    lr: float = Field(0.01, gt=0)
    betas: tuple[float, float] = (0.9, 0.9)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    decay_to: float = Field(1.0, gt=0, le=1)
    max_steps: int = Field(5000, ge=1)
    stop_accuracy: float | None = Field(1.0, gt=0, le=1)
    restart_every: int = Field(0, ge=0)
    restart_below: float = Field(0.25, gt=0, le=1)

    @model_validator(mode="after")
    def _restarts_on_checks(self) -> Recipe:
        if self.restart_every % CHECK_EVERY:
            raise ValueError(
                f"expected restart_every as a multiple of {CHECK_EVERY}, got {self.restart_every}"
            )
        if self.restart_every and self.start == "common":
            raise ValueError("expected no restarts of fits that start at one point, got some")
        return self

    @model_serializer(mode="wrap")
    def _without_usual_start(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The fields without an own start: results from before there was another keep their key."""
        fields = dump(self)
        if self.start == "own":
            fields.pop("start", None)
        return fields

    def lr_at(self, step: Tensor) -> Tensor | float:
        """Learning rate of 1-based `step` (any shape), computed where `step` lives."""
        if self.decay_to == 1.0:
            return self.lr
        phase = (step / self.max_steps).clamp(max=1.0) * math.pi
        return self.lr * (self.decay_to + (1 - self.decay_to) * 0.5 * (1 + phase.cos()))


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(name="paper"),
    # Chosen on the last 16 `unseen` texts and on `seen` ones: with `m` warm, a rate of 0.03 solves
    # soonest, and a fit that has not begun to rise within 100 steps seldom does.
    "fast": Recipe(name="fast", lr=0.03, warm_m="shared-12", restart_every=100),
    # `fast` without its warm start, which was made under one arrangement and would favour it.
    "cold": Recipe(name="cold", lr=0.03, restart_every=100),
    # `cold` from starts thirty times as long (`scaled`): beside its own state the first position
    # forgets an input of usual length, and not a long one. Typed out, because its last digits are
    # part of the keys of stored fits.
    "long": Recipe(name="long", init_std=30, lr=0.9, eps=1e-8 / 30, weight_decay=0.01 / 30),
    # Small steps from one small start for all texts: two solutions then differ because their texts
    # do, which random starts of a solution's own length hide.
    "canonical": Recipe(name="canonical", lr=0.004, init_std=0.3, start="common"),
    # The same with `m` from the vector that `fast` starts at: it holds longer texts sooner.
    "canonical-warm": Recipe(
        name="canonical-warm", lr=0.004, init_std=0.3, start="common", warm_m="shared-12"
    ),
    # For `[mem]` vectors, which start as embeddings do: of the rates 0.01, 0.03 and 0.1, the last
    # held 32 tokens of eight `seen` texts soonest, with two vectors.
    "mem": Recipe(name="mem", lr=0.1),
    # A stage of growth (`reproducer.results.growth`): short, since it begins near its end.
    "grow": Recipe(name="grow", lr=0.03, max_steps=300, restart_every=100),
}


def recipe(name: str, max_steps: int | None = None, stop_accuracy: float | None = None) -> Recipe:
    """The recipe called `name`, with its budget or its stopping accuracy changed if given."""
    base = RECIPES[require_name("recipe", name, RECIPES)]
    changes = {"max_steps": max_steps, "stop_accuracy": stop_accuracy}
    return Recipe(**base.model_dump() | {k: v for k, v in changes.items() if v is not None})


def scaled(rule: Recipe, scale: float) -> Recipe:
    """The recipe from starts `scale` times as long, moving as fast in proportion, cold.

    Gradients shrink as inputs grow, and AdamW decays by the learning rate times the weight decay:
    eps and weight decay go down by the scale, so that a step is the same but for its length.
    """
    longer = {"init_std": rule.init_std * scale, "lr": rule.lr * scale}
    shorter = {"eps": rule.eps / scale, "weight_decay": rule.weight_decay / scale}
    return rule.model_copy(update=longer | shorter | {"warm_m": "", "restart_every": 0})
