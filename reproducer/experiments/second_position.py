"""Is the first position useless, or must `e` not predict? (not in the papers)

The first token is predicted by `e` from the first position in `[e] [m]x(N-1)`, by an `m` from the
second in `[e] [m]xN`, which changes two things; and by `e` from the second in `[m] [e] [m]x(N-1)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field, PositiveInt

from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import plots
from reproducer.experiments.base import Protocol, fit_frame, gaps, grid, mean_std, tested
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST, SECOND, SILENT = ARMS = "[e] [m]x(N-1)", "[m] [e] [m]x(N-1)", "[e] [m]xN"
TENTH = above(0.1, "a tenth of the texts")
PROTOCOL = Protocol(
    paper="Arrangements with e first, predicting or not; none with e second.",
    ours="Three arrangements on the same texts, by the papers' recipe.",
    why="Where the first token is predicted, and by which vector, change together in the papers'.",
)


class Params(ExperimentParams):
    """`lengths`: numbers of tokens N."""

    lengths: tuple[PositiveInt, ...] = Field((4, 8, 16, 32, 64), min_length=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit for each length, arrangement and text."""
    return grid(params, ARMS)


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit: `fit_frame`'s columns, and `first`, whether the first token is right."""
    frame = fit_frame(known.all(grid(params, ARMS)), params)
    return frame.assign(first=[float(correct[0]) for correct in frame["correct"]])


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, and the share of first tokens that are right: mean ± deviation over texts."""
    named = df.rename(columns={"accuracy": "all tokens", "first": "the first token"})
    groups = named.groupby(["arrangement", "n_tokens"])[["all tokens", "the first token"]]
    return groups.agg(mean_std).unstack(fill_value="–")


def figure(df: pd.DataFrame) -> Figure:
    """The share of first tokens that are right against N, a line for each arrangement."""
    return plots.by_length(df, "first", ARMS, "share of first tokens right")[0]


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Whether an `e` that predicts is better off second, and then still worse than a silent one."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    useless = _claim(df, "first-is-useless", SECOND, FIRST, "An e that predicts is better second")
    silent = _claim(df, "e-predicts", SILENT, SECOND, "Even second, an e should not predict")
    return [useless, silent]


def _claim(df: pd.DataFrame, name: str, one: str, other: str, claim: str) -> Verdict:
    return verdict(
        df,
        (mean_interval(gaps(df, one, other, "first"), bounds=(-1, 1)), TENTH),
        id=f"second_position.{name}",
        experiment="second_position",
        claim=f"{claim}: first tokens right under {one} minus under {other}, mean over N",
        unit="texts",
    )
