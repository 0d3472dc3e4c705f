"""Verdicts: a paper's claim, its number, ours with an interval, and what follows.

A verdict is computed from results, never typed. The ledger is all verdicts of a profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
from pandas.io.formats.style import Styler
from pydantic import BaseModel, ConfigDict

Outcome = Literal["reproduced", "partly", "not reproduced", "not tested at this scale"]


class Verdict(BaseModel):
    """One row of the ledger.

    `published`, `ours`, `low` and `high` are in the unit that `claim` or `criterion` names;
    `low … high` is a 95 % bootstrap interval over `n` texts. `criterion` says in words what
    had to hold for which verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    experiment: str
    claim: str
    published: str
    ours: float | None
    low: float | None
    high: float | None
    n: int
    model: str
    profile: str
    criterion: str
    verdict: Outcome


def judge(low: float, high: float, holds: Callable[[float], bool]) -> Outcome:
    """`reproduced` if both ends of the interval hold, `partly` if one does."""
    # As Python's bools: numpy's add up to a bool.
    ends = bool(holds(low)) + bool(holds(high))
    outcomes: tuple[Outcome, ...] = ("not reproduced", "partly", "reproduced")
    return outcomes[ends]


def verdict_on(
    df: pd.DataFrame,
    numbers: tuple[float | None, float | None, float | None],
    holds: Callable[[float], bool],
    enough: bool,
    **fields: Any,
) -> Verdict:
    """The verdict that (ours, low, high) allow, for the models and the profile of `df`.

    `holds` is the criterion on a value; without `enough` data, or without a number, nothing is
    judged.
    """
    ours, low, high = (None if n is None or math.isnan(n) else n for n in numbers)
    enough = enough and None not in (ours, low, high)
    return Verdict(
        ours=ours,
        low=low,
        high=high,
        model=", ".join(dict.fromkeys(df["model"])),
        profile=df["profile"].iloc[0],
        verdict=judge(low, high, holds) if enough else "not tested at this scale",
        **fields,
    )


def ledger_table(verdicts: list[Verdict], criteria: bool = True) -> Styler:
    """The verdicts, one row a claim: with criteria on an experiment's page, else with its name."""
    rows = pd.DataFrame([_shown(v) for v in verdicts], columns=list(_COLUMNS))
    rows = rows.drop(columns="experiment" if criteria else "criterion")
    # The page colours a verdict by its class, and gives criteria room.
    marks = rows[["verdict"]].replace(" ", "-", regex=True)
    if criteria:
        marks["criterion"] = "criterion"
    styled = rows.style.hide(axis="index").set_table_attributes('class="dataframe ledger"')
    return styled.set_td_classes(marks)


_COLUMNS = (
    "verdict",
    "claim",
    "published",
    "ours",
    "95 % interval",
    "criterion",
    "n",
    "experiment",
    "model",
    "profile",
)


def _shown(v: Verdict) -> dict[str, str | int]:
    numbers = {
        "ours": "–" if v.ours is None else f"{v.ours:.2f}",
        "95 % interval": "–" if v.low is None else f"{v.low:.2f} … {v.high:.2f}",
    }
    return v.model_dump(include=set(_COLUMNS) - {"ours"}) | numbers
