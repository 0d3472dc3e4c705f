"""A9: are the solutions of one text connected? (Mezentsev & Oseledets, Fig. 7)

Straight lines and trained quadratic Bézier curves between all pairs of solutions of a text:
accuracy along the way, and how much longer than its chord the curve is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import plots
from reproducer.experiments.base import ArrangementName, Protocol, fit, number, texts_of
from reproducer.experiments.claims import Verdict, above, below, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.readings.curves import CurveSpec, End, PathSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.solutions import Point, points_of
from reproducer.results.specs import Result, Spec
from reproducer.solver.recipes import recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reproducer.analysis.estimates import Interval

PATHS = {"straight": "straight line", "curved": "Bézier curve"}
SHARES = {
    "m": "shared by all solutions",
    "text": "shared by the solutions of a text",
    "none": "each solution's own",
}
CONNECTED = 0.99  # lowest accuracy on a curve that joins its ends by solutions
MIN_CURVE_STEPS = 1000  # with fewer, a curve that fails may only be unfinished
LEAVES = above(0.2, "a fifth of the tokens is lost")
STAYS = below(0.2, "four in five tokens are kept at the worst point")
NEARLY_STRAIGHT = below(1.5, "that of a half circle is 1.57")

PROTOCOL = Protocol(
    paper="Ten solutions of each of five texts, all with one m. Between any two of a text: "
    "accuracy along the straight line, and along a quadratic Bézier curve whose control point is "
    "trained.",
    ours="The same paths. Only e moves on them; m is shared by the solutions of a text, which are "
    "fitted together. A curve's length counts where it joins its ends by solutions.",
    why="Texts that are fitted apart are independent, so intervals over texts mean what they say. "
    "A curve that was never trained is short.",
)


class Params(ExperimentParams):
    """Solutions and curves.

    `n_seeds` solutions of each text of `n_tokens` tokens. `share`: `m` shared by all of them ("m",
    the paper's), by those of a text ("text"), or own ("none"). Those with an accuracy below
    `min_accuracy` are left out and counted. Curves are trained for `curve_steps` steps and measured
    at `n_points` values of t.
    """

    n_tokens: int = Field(64, ge=1)
    n_seeds: int = Field(10, ge=2)
    share: Literal["m", "text", "none"] = "m"
    arrangement: ArrangementName | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)
    curve_steps: int = Field(1000, ge=1)
    n_points: int = Field(21, ge=3)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits; once they are known, also the curves between their solutions and the paths."""
    wanted = fits(params)
    results = known.all(wanted)
    between = paths(params, points_of(results)) if len(results) == len(wanted) else []
    return [*wanted, *(path.curve for path in between), *between]


def fits(params: Params) -> list[FitSpec]:
    """The fits of all solutions: those that share `m` in one fit, others each in its own."""
    texts = texts_of(params, params.n_tokens)
    if params.share == "none":
        seeds = range(params.seed, params.seed + params.n_seeds)
        return [fit(params, [text], seed=seed) for text in texts for seed in seeds]
    groups = [texts] if params.share == "m" else [[text] for text in texts]
    return [fit(params, group, share="m", copies=params.n_seeds) for group in groups]


def paths(params: Params, points: Iterable[Point]) -> list[PathSpec]:
    """A path between any two accurate solutions of one text."""
    by_text: dict[str, list[Point]] = {}
    for point in points:
        if point.accuracy >= params.min_accuracy:
            by_text.setdefault(point.text.id, []).append(point)
    rule = recipe(params.recipe, params.curve_steps)
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


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each pair of solutions, kind of path and t.

    Columns: model, profile, text, pair, path (`straight`, `curved`), t, accuracy, stretch (arc
    length ÷ chord of the curve), n_solutions, n_left_out, n_tokens, recipe, curve_steps, share,
    device.
    """
    points = points_of(known.all(fits(params)))
    frames = [_path_frame(result) for result in known.all(paths(params, points))]
    if not frames:
        return pd.DataFrame()
    left_out = sum(point.accuracy < params.min_accuracy for point in points)
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
    end = spec.curve.ends[0]
    frames = [
        pd.DataFrame({"t": result.arrays["t"], "accuracy": result.arrays[name], "path": name})
        for name in PATHS
    ]
    return pd.concat(frames).assign(
        text=end.fit.sequences[end.sequence].id,
        pair=result.key[:12],
        stretch=result.metrics["stretch"],
        device=result.provenance["device"],
    )


def drops(df: pd.DataFrame) -> pd.DataFrame:
    """How far accuracy falls on each path: mean of its ends minus its lowest point.

    One row a pair; columns text, pair, stretch, straight, curved, connected (whether the curve
    joins its ends by solutions).
    """
    keys = ["text", "pair", "stretch"]
    by_path = df.sort_values("t").groupby([*keys, "path"])["accuracy"]
    ends = (by_path.first() + by_path.last()) / 2
    lowest = by_path.min().unstack().reindex(columns=list(PATHS))
    falls = (ends - by_path.min()).unstack().reindex(columns=list(PATHS))
    return falls.assign(connected=lowest["curved"] >= CONNECTED).reset_index()


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each text: pairs, fall of accuracy on lines and curves, arc length ÷ chord."""
    columns = ["pairs", *(f"fall, {label}" for label in PATHS.values()), "connected pairs"]
    columns += ["arc ÷ chord, mean", "arc ÷ chord, longest"]
    if df.empty:
        return pd.DataFrame(columns=columns)
    by_pair = drops(df)
    by_text = by_pair.groupby("text")
    stretch = by_pair["stretch"].where(by_pair["connected"]).groupby(by_pair["text"])
    cells = [by_text.size(), *(by_text[path].mean().map(number) for path in PATHS)]
    cells.append(by_text["connected"].sum())
    cells += [column.map(partial(number, digits=3)) for column in (stretch.mean(), stretch.max())]
    return pd.concat(cells, axis=1).set_axis(columns, axis=1)


def figure(df: pd.DataFrame) -> Figure:
    """Accuracy along t: mean over pairs, with the band from the 5th to the 95th percentile."""
    drawn, axis = plots.figure()
    for (name, label), style in zip(PATHS.items(), plots.line_styles(PATHS).values(), strict=True):
        if df.empty:
            break
        groups = df[df["path"] == name].groupby("t")["accuracy"]
        mean, low, high = groups.mean(), groups.quantile(0.05), groups.quantile(0.95)
        axis.plot(mean.index, mean, label=label, markersize=4, **style)
        axis.fill_between(mean.index, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.set(xlabel="position t on the path from one solution to the other", ylabel="accuracy")
    axis.set_ylim(-0.03, 1.05)
    plots.legend(axis, loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was joined, and what was left out."""
    if df.empty:
        return "No result of this profile is stored."
    first = df.iloc[0]
    return (
        f"Computed with {first['model']} on {first['device']}, profile {first['profile']}: "
        f"{first['n_solutions']} solutions of texts of {first['n_tokens']} tokens, m "
        f"{SHARES[first['share']]}, recipe {first['recipe']}; curves trained for "
        f"{first['curve_steps']} steps; {first['n_left_out']} unsolved fits left out; "
        f"{df['pair'].nunique()} pairs of {df['text'].nunique()} texts."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Straight lines leave the solutions; curves stay; curves that stay are nearly straight."""
    if df.empty:
        return []
    pairs = drops(df)
    lacking = "solutions that share m" if df["share"].iloc[0] == "none" else ""
    steps = f"curves of {MIN_CURVE_STEPS} or more steps"
    unfinished = "" if df["curve_steps"].iloc[0] >= MIN_CURVE_STEPS else steps
    longest = pairs[pairs["connected"]].groupby("text")["stretch"].max()
    shared = {"experiment": "connectivity", "unit": "texts"}
    fall = "accuracy at the ends minus the lowest on the way, mean over the pairs of a text"
    return [
        verdict(
            df,
            (_mean_fall(pairs, "straight"), LEAVES),
            id="A9.straight",
            claim=f"Straight lines between solutions of one text leave them: {fall}",
            published="drops well below 1; shown as a curve",
            untested=lacking,
            **shared,
        ),
        verdict(
            df,
            (_mean_fall(pairs, "curved"), STAYS),
            id="A9.curved",
            claim=f"Bézier curves between them stay among the solutions: {fall}",
            published="near 0; shown as a curve",
            untested=lacking or unfinished,
            **shared,
        ),
        verdict(
            df,
            (mean_interval(longest), NEARLY_STRAIGHT),
            id="A9.stretch",
            claim="The curves that stay are nearly straight: arc length ÷ chord, the longest of a "
            "text",
            published="1.2",
            untested=lacking or unfinished or ("" if len(longest) else "curves that stay"),
            **shared,
        ),
    ]


def _mean_fall(pairs: pd.DataFrame, path: str) -> Interval:
    known = pairs.dropna(subset=[path])
    return mean_interval(known[path], known["text"], bounds=(0, 1))
