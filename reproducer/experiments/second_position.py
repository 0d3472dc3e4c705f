"""Is the first position useless, or must `e` not predict? (not in the papers)

The first token is predicted by `e` from the first position in `[e] [m]x(N-1)`, by an `m` from the
second in `[e] [m]xN`, which changes two things; and by `e` from the second in `[m] [e] [m]x(N-1)`.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import pandas as pd
from pydantic import Field, PositiveInt

from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import base, cells, plots
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known

FIRST, SECOND, SILENT = ARMS = "[e] [m]x(N-1)", "[m] [e] [m]x(N-1)", "[e] [m]xN"
TENTH = above(0.1, "a tenth of the texts")
_claim = partial(verdict, experiment="second_position", unit="texts")
PROTOCOL = base.Protocol(
    paper="Arrangements with e first, predicting or not; none with e second.",
    ours="Three arrangements on the same texts, by the papers' recipe.",
    why="Where the first token is predicted, and by which vector, change together in the papers'.",
)


class Params(ExperimentParams):
    """`lengths`: numbers of tokens N."""

    arrangements: ClassVar[tuple[str, ...]] = ARMS

    lengths: tuple[PositiveInt, ...] = Field((4, 8, 16, 32, 64), min_length=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit for each length, arrangement and text."""
    return base.grid(params, params.arrangements)


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit: `fit_frame`'s columns, and `first`, whether the first token is right."""
    frame = base.fit_frame(known.all(base.grid(params, params.arrangements)), params)
    return frame.assign(first=[float(correct[0]) for correct in frame["correct"]])


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, and the share of first tokens that are right: mean ± deviation over texts."""
    named = df.rename(columns={"accuracy": "all tokens", "first": "the first token"})
    groups = named.groupby(["arrangement", "n_tokens"])[["all tokens", "the first token"]]
    return groups.agg(cells.mean_std).unstack(fill_value="–")


def figure(df: pd.DataFrame) -> plots.Figure:
    """The share of first tokens that are right against N, a line for each arrangement."""
    drawn, axis = plots.by_length(df, "first", ARMS, "share of first tokens right")
    plots.legend(axis)
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Whether an `e` that predicts is better off second, and then still worse than a silent one."""
    if df.empty or not base.tested(df["model"].iloc[0]):
        return []
    return [
        _claim(
            df,
            (mean_interval(base.gaps(df, one, other, "first"), bounds=(-1, 1)), TENTH),
            id=f"second_position.{name}",
            claim=f"{claim}: first tokens right under {one} minus under {other}, mean over N",
        )
        for name, one, other, claim in (
            ("first-is-useless", SECOND, FIRST, "An e that predicts is better second"),
            ("e-predicts", SILENT, SECOND, "Even second, an e should not predict"),
        )
    ]
