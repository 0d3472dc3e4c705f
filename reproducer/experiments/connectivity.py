"""A9: are the solutions of one text connected? (Mezentsev & Oseledets, Fig. 7)

Straight lines and trained quadratic Bézier curves between all pairs of solutions of a text:
accuracy along the way, and how much longer than its chord the curve is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import default_arrangement, results_of, tested
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.readings.curves import CurveSpec, End, PathSpec
from reproducer.results.run import cached_lm, stored
from reproducer.results.solutions import Point, points_of
from reproducer.results.specs import FitSpec, Spec
from reproducer.results.store import Result
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import load_texts

PATHS = {"straight": "straight line", "curved": "Bézier curve"}
MIN_TEXTS = 3
MIN_CURVE_STEPS = 1000  # with fewer, a curve that fails may only be unfinished


class Params(ExperimentParams):
    """Solutions and curves.

    `n_seeds` solutions of each text of `n_tokens` tokens; `share`: `m` shared by all of them,
    or own. Those with an accuracy below `min_accuracy` are left out and counted. Curves are
    trained for `curve_steps` steps and measured at `n_points` values of t.
    """

    n_tokens: int = Field(64, ge=1)
    n_seeds: int = Field(10, ge=2)
    share: Literal["m", "none"] = "m"
    arrangement: str | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)
    curve_steps: int = Field(1000, ge=1)
    n_points: int = Field(21, ge=3)


def fits(params: Params) -> list[FitSpec]:
    """One fit of all solutions where `m` is shared; one for each where it is not."""
    lm = cached_lm(params.model)
    texts = tuple(load_texts(params.source, lm, params.n_texts, params.n_tokens))
    texts = tuple(text.prefix(params.n_tokens) for text in texts)
    chosen = {
        "model": params.model,
        "arrangement": default_arrangement(params.arrangement, lm),
        "recipe": recipe(params.recipe, max_steps=params.max_steps),
    }
    if params.share == "m":
        shared = {"share": "m", "copies": params.n_seeds, "seed": params.seed}
        return [FitSpec(texts=texts, **shared, **chosen)]
    seeds = range(params.seed, params.seed + params.n_seeds)
    return [FitSpec(texts=(text,), seed=seed, **chosen) for text in texts for seed in seeds]


def paths(params: Params, points: Iterable[Point]) -> list[PathSpec]:
    """A path between any two accurate solutions of one text."""
    by_text: dict[str, list[Point]] = {}
    for point in points:
        if point.accuracy >= params.min_accuracy:
            by_text.setdefault(point.text.id, []).append(point)
    rule = recipe(params.recipe, max_steps=params.curve_steps)
    return [
        PathSpec(
            model=params.model,
            n_points=params.n_points,
            curve=CurveSpec(
                model=params.model,
                recipe=rule,
                seed=params.seed,
                ends=tuple(End(fit=p.fit, sequence=p.sequence) for p in pair),
            ),
        )
        for solutions in by_text.values()
        for pair in combinations(solutions, 2)
    ]


def specs(params: Params) -> list[Spec]:
    """The fits; once they are stored, also the curves between their solutions and the paths."""
    first = fits(params)
    between = paths(params, points_of(stored(first)))
    return [*first, *(path.curve for path in between), *between]


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each pair of solutions, kind of path and t.

    Columns: model, profile, text, pair, path (`straight`, `curved`), t, accuracy, stretch (arc
    length ÷ chord of the curve), n_solutions, n_left_out, n_tokens, recipe, curve_steps, share,
    device.

    Raises:
        ReproducerError: no text has two solutions that are accurate enough.
    """
    points = points_of(results_of(fits(params), compute_missing))
    between = paths(params, points)
    if compute_missing and not between:
        best = sorted(p.accuracy for p in points)[-2:]
        raise ReproducerError(
            f"expected two solutions of accuracy {params.min_accuracy:g} for some text, got best "
            f"accuracies {', '.join(f'{a:.2f}' for a in best)}; allow more steps or fewer tokens"
        )
    results_of([path.curve for path in between], compute_missing)
    results = results_of(between, compute_missing)
    left_out = sum(p.accuracy < params.min_accuracy for p in points)
    frames = [_path_frame(result) for result in results]
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).assign(
        model=params.model,
        profile=params.profile,
        share=params.share,
        n_tokens=params.n_tokens,
        recipe=params.recipe,
        curve_steps=params.curve_steps,
        n_solutions=len(points) - left_out,
        n_left_out=left_out,
    )


def _path_frame(result: Result) -> pd.DataFrame:
    spec = PathSpec(**result.spec)
    text = spec.curve.ends[0].fit.sequences[spec.curve.ends[0].sequence]
    frames = [
        pd.DataFrame({"t": result.arrays["t"], "accuracy": result.arrays[name], "path": name})
        for name in PATHS
    ]
    return pd.concat(frames).assign(
        text=text.id,
        pair=result.key[:12],
        stretch=result.metrics["stretch"],
        device=result.provenance["device"],
    )


def lowest(df: pd.DataFrame) -> pd.DataFrame:
    """The lowest accuracy on each path: one row a pair; columns text, stretch, straight, curved."""
    keys = ["text", "pair", "stretch"]
    wide = df.pivot_table(index=keys, columns="path", values="accuracy", aggfunc="min")
    return wide.reset_index().rename_axis(columns=None)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each text: pairs, mean lowest accuracy of lines and curves, arc length ÷ chord."""
    by_text = lowest(df).groupby("text")
    return pd.DataFrame(
        {
            "pairs": by_text.size(),
            "lowest accuracy, straight line": by_text["straight"].mean().round(3),
            "lowest accuracy, Bézier curve": by_text["curved"].mean().round(3),
            "arc ÷ chord, mean": by_text["stretch"].mean().round(3),
            "arc ÷ chord, longest": by_text["stretch"].max().round(3),
        }
    )


def figure(df: pd.DataFrame) -> Figure:
    """Accuracy along t: mean over pairs, with the band from the 5th to the 95th percentile."""
    made, axis = plots.figure()
    for (name, label), style in zip(PATHS.items(), plots.line_styles(PATHS).values(), strict=True):
        groups = df[df["path"] == name].groupby("t")["accuracy"]
        mean, low, high = groups.mean(), groups.quantile(0.05), groups.quantile(0.95)
        axis.plot(mean.index, mean, label=label, markersize=4, **style)
        axis.fill_between(mean.index, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.set(xlabel="position t on the path from one solution to the other", ylabel="accuracy")
    axis.set_ylim(-0.03, 1.05)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was joined, and what was left out."""
    if df.empty:
        return "No result of this profile is stored."
    first = df.iloc[0]
    shared = "shared by all solutions" if first["share"] == "m" else "each solution's own"
    return (
        f"Computed with {first['model']} on {first['device']}, profile {first['profile']}: "
        f"{first['n_solutions']} solutions of texts of {first['n_tokens']} tokens, m {shared}, "
        f"recipe {first['recipe']}; curves trained for {first['curve_steps']} steps; "
        f"{first['n_left_out']} unsolved fits left out; {df['pair'].nunique()} pairs of "
        f"{df['text'].nunique()} texts."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Straight lines fail; Bézier curves succeed; the curves are nearly straight."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    by_text = lowest(df).groupby("text")
    return [
        _verdict(
            df,
            id="A9.straight",
            claim="Straight lines between solutions of one text leave them: lowest accuracy",
            published="drops well below 1; shown as a curve",
            values=by_text["straight"].mean(),
            criterion="mean lowest accuracy below 0.9",
            holds=lambda a: a < 0.9,
        ),
        _verdict(
            df,
            id="A9.curved",
            claim="Bézier curves between them stay among the solutions: lowest accuracy",
            published="near 1; shown as a curve",
            values=by_text["curved"].mean(),
            criterion="mean lowest accuracy above 0.9",
            holds=lambda a: a > 0.9,
            min_steps=MIN_CURVE_STEPS,
        ),
        _verdict(
            df,
            id="A9.stretch",
            claim="The curves are nearly straight: longest arc length ÷ chord",
            published="1.2",
            values=by_text["stretch"].max(),
            criterion="mean over texts of the longest below 1.5",
            holds=lambda s: s < 1.5,
            min_steps=MIN_CURVE_STEPS,
        ),
    ]


def _verdict(
    df: pd.DataFrame,
    *,
    values: pd.Series,
    criterion: str,
    holds: Callable[[float], bool],
    min_steps: int = 0,
    **fields,
) -> Verdict:
    enough = len(values) >= MIN_TEXTS and df["curve_steps"].iloc[0] >= min_steps
    needs = f"{MIN_TEXTS} or more texts" + (f" and {min_steps} curve steps" if min_steps else "")
    return verdict_on(
        df,
        bootstrap_interval(np.asarray(values)),
        holds,
        enough,
        experiment="connectivity",
        n=len(values),
        criterion=f"{criterion}, whole interval over texts; needs {needs}",
        **fields,
    )
