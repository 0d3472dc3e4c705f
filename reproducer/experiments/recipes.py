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

from reproducer.experiments import plots
from reproducer.experiments.base import fit, fit_frame, tested, texts_of
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict, judge
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.solver.recipes import recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET = 0.95
RESAMPLES = 1000


class Params(ExperimentParams):
    """`recipes`: names of `RECIPES`, the reference first; `n_tokens`: text length N."""

    recipes: tuple[str, ...] = Field(("paper", "fast"), min_length=2)
    n_tokens: int = Field(16, ge=1)
    arrangement: str | None = None
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
    """One row a fit; `curve` is the best accuracy seen up to each step, held after the last."""
    results = known.all(specs(params, known))
    curves = [_best_so_far(r.arrays["trace_accuracy"], params.max_steps) for r in results]
    return fit_frame(results, params).assign(curve=curves)


def _best_so_far(accuracy: np.ndarray, max_steps: int) -> np.ndarray:
    best = np.maximum.accumulate(accuracy)
    return np.concatenate([best, np.full(max_steps - len(best), best[-1])])


def steps_to(curves: np.ndarray, accuracy: float = TARGET) -> float:
    """First step at which the mean over texts of (n_texts, steps) reaches it; inf if never."""
    reached = np.flatnonzero(curves.mean(axis=0) >= accuracy - 1e-9)
    return float(reached[0] + 1) if len(reached) else np.inf


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each recipe: accuracy, share solved, steps to a mean accuracy of 0.95."""
    rows = {
        name: {
            "texts": len(rows),
            "accuracy": rows["accuracy"].mean(),
            "solved": rows["solved"].mean(),
            "mean steps": rows["steps"].mean(),
            f"steps to mean accuracy {TARGET}": steps_to(np.stack(rows["curve"])),
        }
        for name, rows in df.groupby("recipe", sort=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("recipe").round(3)


def figure(df: pd.DataFrame) -> Figure:
    """Mean over texts of the best accuracy so far, against the step, a line for each recipe."""
    made, axis = plots.figure()
    names = list(df["recipe"].unique())
    for name, style in plots.line_styles(names).items():
        mean = np.stack(df[df["recipe"] == name]["curve"]).mean(axis=0)
        style = style | {"markevery": max(1, len(mean) // 8)}
        axis.plot(np.arange(1, len(mean) + 1), mean, label=name, **style)
    axis.axhline(TARGET, color="#777777", linewidth=0.8)
    axis.set(xlabel="optimizer step", ylabel="best accuracy so far, mean", ylim=(-0.03, 1.05))
    axis.legend(title="recipe")
    return made


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Our own claim: each later recipe needs a third of the steps of the first, or fewer."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    names = list(df["recipe"].unique())
    return [_fewer_steps(df, names[0], name) for _, name in pairwise(names)]


def speedup(slow: np.ndarray, fast: np.ndarray) -> float:
    """Ratio of steps to the target; where the slow recipe never arrives, its budget counts."""
    if steps_to(fast) == np.inf:
        return np.nan
    return min(steps_to(slow), slow.shape[1]) / steps_to(fast)


def _fewer_steps(df: pd.DataFrame, slow: str, fast: str) -> Verdict:
    by_text = df.pivot(index="text", columns="recipe", values="curve")
    slow_curves, fast_curves = (np.stack(by_text[name]) for name in (slow, fast))
    n = len(by_text)
    draw = np.random.default_rng(0)
    drawn = (draw.integers(0, n, n) for _ in range(RESAMPLES))
    ratios = np.array([speedup(slow_curves[i], fast_curves[i]) for i in drawn])
    ours = speedup(slow_curves, fast_curves)
    low, high = np.nanpercentile(ratios, [2.5, 97.5]) if np.isfinite(ratios).any() else (0.0, 0.0)
    arrived = steps_to(slow_curves) < np.inf
    scale = np.isfinite(ours) and n >= 32
    return Verdict(
        id=f"recipes.{fast}",
        experiment="recipes",
        claim=(
            f"Recipe {fast} reaches a mean accuracy of {TARGET} in a third of the steps of {slow}: "
            f"ratio of steps at N = {df['n_tokens'].iloc[0]}"
            + ("" if arrived else f" (at least: {slow} does not arrive within its budget)")
        ),
        published="not in the papers",
        ours=ours if np.isfinite(ours) else None,
        low=float(low),
        high=float(high),
        n=n,
        model=df["model"].iloc[0],
        profile=df["profile"].iloc[0],
        criterion="ratio of 3 or more, whole interval; 32 or more texts",
        verdict=judge(low, high, lambda r: r >= 3) if scale else "not tested at this scale",
    )
