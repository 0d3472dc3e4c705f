"""Recipes compared: how many steps does the papers' recipe need, and how many a tuned one?

Not in the papers. The same texts, starts drawn from the same seeds; the texts on which `fast` was
tuned are not among them (`reproducer.solver.recipes`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import ratio_interval
from reproducer.experiments import plots
from reproducer.experiments.base import (
    ArrangementName,
    Protocol,
    RecipeName,
    fit,
    fit_frame,
    texts_of,
)
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.solver.recipes import recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reproducer.analysis.estimates import Interval
    from reproducer.results.specs import Result

TARGET = 0.95

PROTOCOL = Protocol(
    paper="One recipe, chosen without a comparison that is reported.",
    ours="The same texts from the same seeds under several recipes, with a trace of every step. "
    "What counts is a text's first step with an accuracy of 0.95; a text that never arrives counts "
    "with its budget.",
    why="Steps are what a reproduction spends. A budget in place of a missing step makes the ratio "
    "of steps a lower bound where the slow recipe does not arrive, and an upper bound where the "
    "fast one does not, so no text has to be left out.",
)


class Params(ExperimentParams):
    """`recipes`: names of `RECIPES`, the reference first; `n_tokens`: text length N."""

    UNUSED = ("recipe",)
    REPEATING = ("recipes",)  # where a model has no other, a recipe stands against itself

    recipes: tuple[RecipeName, ...] = Field(("paper", "fast"), min_length=2)
    n_tokens: int = Field(16, ge=1)
    arrangement: ArrangementName | None = None
    n_texts: int = Field(32, ge=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One traced fit for each recipe and text."""
    texts = texts_of(params, params.n_tokens)
    return [
        fit(params, [text], recipe=recipe(name, params.max_steps), trace=True)
        for name in params.recipes
        for text in texts
    ]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit.

    `curve` is the best accuracy seen up to each step of the budget; `arrived` the first step at
    which it reached 0.95, or the budget where it never did, which `censored` says.
    """
    return arrivals(known.all(specs(params, known)), params)


def arrivals(results: Sequence[Result], params: ExperimentParams) -> pd.DataFrame:
    """The frame of traced fits, one row each, with `curve`, `arrived` and `censored` of `rows`."""
    curves = [best_so_far(r.arrays["trace_accuracy"], params.max_steps) for r in results]
    steps = [first_step(curve) for curve in curves]
    return fit_frame(results, params).assign(
        curve=curves,
        arrived=[step or params.max_steps for step in steps],
        censored=[step is None for step in steps],
    )


def best_so_far(accuracy: np.ndarray, max_steps: int) -> np.ndarray:
    """A curve (steps,) of the best so far, held to the end of the budget."""
    return np.pad(np.maximum.accumulate(accuracy), (0, max_steps - len(accuracy)), mode="edge")


def first_step(curve: np.ndarray, accuracy: float = TARGET) -> int | None:
    """The first step, from 1, at which a curve (steps,) reaches the accuracy; None if never."""
    reached = np.flatnonzero(curve >= accuracy - 1e-9)
    return int(reached[0]) + 1 if len(reached) else None


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each recipe: texts, accuracy, how many arrived at 0.95, and their mean steps to it.

    A text that did not arrive counts with its budget, so such a mean is a lower bound: "≥".
    """
    cells = {}
    for name, fits in df.groupby("recipe", sort=False) if len(df) else ():
        bound = "≥ " if fits["censored"].any() else ""
        cells[name] = {
            "texts": f"{len(fits)}",
            "accuracy": f"{fits['accuracy'].mean():.3f}",
            f"arrived at {TARGET}": f"{(~fits['censored']).mean():.2f}",
            f"steps to {TARGET}": f"{bound}{fits['arrived'].mean():.0f}",
        }
    return pd.DataFrame.from_dict(cells, orient="index").rename_axis("recipe")


def figure(df: pd.DataFrame) -> Figure:
    """Mean over texts of the best accuracy so far, against the step, a line for each recipe."""
    if df.empty:
        return plots.nothing("no fit")
    drawn, axis = plots.figure(figsize=(6, 3.8))
    draw_curves(axis, df)
    axis.axhline(TARGET, color="#777777", lw=0.8, label=f"arrived: {TARGET:g}")
    axis.set(xlabel="optimizer step", ylabel="best accuracy so far, mean", ylim=(-0.03, 1.05))
    axis.legend(title="recipe")
    return drawn


def draw_curves(axis: Axes, df: pd.DataFrame) -> None:
    """The mean curve of each recipe's fits."""
    for name, style in plots.line_styles(df["recipe"].unique()).items():
        mean = np.mean(df.loc[df["recipe"] == name, "curve"].to_list(), axis=0)
        style |= {"markevery": max(1, len(mean) // 8), "label": name}
        axis.plot(np.arange(1, len(mean) + 1), mean, **style)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Our own claim: each later recipe needs a third of the steps of the one before, or fewer."""
    names = list(df["recipe"].unique()) if len(df) else []
    return [_fewer_steps(df, slow, fast) for slow, fast in pairwise(names)]


def steps_ratio(df: pd.DataFrame, slow: str, fast: str) -> tuple[Interval, str]:
    """Mean steps to `TARGET` under one recipe over those under another, paired by text.

    With it, in words, which bound texts make it that never arrive; "" if all do.
    """
    steps = df.pivot_table(index="text", columns="recipe", values="arrived")
    steps = steps.reindex(columns=[slow, fast]).dropna()
    late = df[df["text"].isin(steps.index)].groupby("recipe")["censored"].sum()
    late = late.reindex([slow, fast], fill_value=0)
    bounds = "; ".join(
        f"{bound}, as {late[name]} texts do not arrive under {name} and count with their budget"
        for name, bound in ((slow, "a lower bound"), (fast, "an upper bound"))
        if late[name]
    )
    ratio = ratio_interval(
        steps[slow],
        steps[fast],
        censored_above=bool(late[slow]),
        censored_below=bool(late[fast]),
    )
    return ratio, f" ({bounds})" if bounds else ""


def _fewer_steps(df: pd.DataFrame, slow: str, fast: str) -> Verdict:
    ratio, bounds = steps_ratio(df, slow, fast)
    return verdict(
        df,
        (ratio, above(3, "a third of the steps is worth a recipe of its own")),
        id=f"recipes.{fast}",
        experiment="recipes",
        unit="texts",
        claim=f"Recipe {fast} brings a text to an accuracy of {TARGET} in a third of the steps of "
        f"{slow}: ratio of mean steps at N = {df['n_tokens'].iloc[0]}{bounds}",
    )
