"""A9: are the solutions of one text connected? (Mezentsev & Oseledets, Fig. 7)"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import combinations
from typing import Literal

import pandas as pd
from pydantic import Field

from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import base, plots
from reproducer.experiments.cells import number
from reproducer.experiments.claims import Verdict, above, below, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.readings.curves import CurveSpec, End, PathSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.solutions import Point, points_of
from reproducer.results.specs import Result, Spec
from reproducer.solver.recipes import recipe

PATHS = {"straight": "straight line", "curved": "Bézier curve"}
SHARES = {"m": "shared by all", "text": "shared by those of a text", "none": "each one's own"}
PAPERS_LONGEST = 1.2  # arc length ÷ chord
PARAMS = {"model", "profile", "share", "n_tokens", "recipe", "curve_steps"}  # columns of `rows`
CONNECTED = 0.99  # lowest accuracy on a curve that joins its ends by solutions
MIN_CURVE_STEPS = 1000  # with fewer, a curve that fails may only be unfinished
LEAVES = above(0.2, "a fifth of the tokens is lost")
STAYS = below(0.2, "four in five tokens are kept at the worst point")
NEARLY_STRAIGHT = below(1.5, "that of a half circle is 1.57")
FACTS = (
    "{n_solutions} solutions of texts of {n_tokens} tokens, m {sharing}; recipe {recipe}; curves "
    "trained for {curve_steps} steps; {n_left_out} unsolved fits left out; {n_pairs} pairs of "
    "{n_texts} texts."
)
_claim = partial(verdict, experiment="connectivity", unit="texts")

PROTOCOL = base.Protocol(
    paper="Ten solutions of each of five texts, all with one m. Between any two of a text: "
    "accuracy along the straight line, and along a quadratic Bézier curve whose control point is "
    "trained.",
    ours="The same paths. Only e moves on them; m is shared by the solutions of a text, which are "
    "fitted together. A curve's length counts where it joins its ends by solutions.",
    why="Texts that are fitted apart are independent, so intervals over texts mean what they say. "
    "A curve that was never trained is short.",
)


class Params(ExperimentParams):
    """`n_seeds` solutions of each text of `n_tokens` tokens; less accurate ones are left out.

    `share`: `m` shared by all of them ("m", the paper's), by those of a text ("text"), or own
    ("none"). Curves are trained for `curve_steps` steps and measured at `n_points` values of t.
    """

    n_tokens: int = Field(64, ge=1)
    n_seeds: int = Field(10, ge=2)
    share: Literal["m", "text", "none"] = "m"
    arrangement: base.ArrangementName | None = None
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
    texts = base.texts_of(params, params.n_tokens)
    if params.share == "none":
        seeds = range(params.seed, params.seed + params.n_seeds)
        return [base.fit(params, [text], seed=seed) for text in texts for seed in seeds]
    groups = [texts] if params.share == "m" else [[text] for text in texts]
    return [base.fit(params, group, share="m", copies=params.n_seeds) for group in groups]


def paths(params: Params, points: Iterable[Point]) -> list[PathSpec]:
    """A path between any two accurate solutions of one text."""
    by_text: dict[str, list[Point]] = {}
    for point in points:
        if point.accuracy >= params.min_accuracy:
            by_text.setdefault(point.text.id, []).append(point)
    pairs = (pair for solutions in by_text.values() for pair in combinations(solutions, 2))
    asked = {"seed": params.seed, "recipe": recipe(params.recipe, params.curve_steps)}
    curves = (
        CurveSpec(
            model=params.model,
            ends=tuple(End(fit=p.fit, sequence=p.sequence) for p in pair),
            **asked,
        )
        for pair in pairs
    )
    return [PathSpec(model=params.model, n_points=params.n_points, curve=c) for c in curves]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each pair of solutions, kind of path and t.

    Columns: text, pair, path (`straight`, `curved`), t, accuracy, stretch (arc length ÷ chord of
    the curve), n_solutions, n_left_out, device, and those of `PARAMS`.
    """
    points = points_of(known.all(fits(params)))
    frames = [_path_frame(result) for result in known.all(paths(params, points))]
    if not frames:
        return pd.DataFrame()
    left_out = sum(point.accuracy < params.min_accuracy for point in points)
    return pd.concat(frames, ignore_index=True).assign(
        **params.model_dump(include=PARAMS),
        n_solutions=len(points) - left_out,
        n_left_out=left_out,
    )


def _path_frame(result: Result) -> pd.DataFrame:
    end = PathSpec(**result.spec).curve.ends[0]
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
    by_path = df.sort_values("t").groupby(["text", "pair", "stretch", "path"])["accuracy"]
    lowest = by_path.min().unstack().reindex(columns=list(PATHS))
    ends = (by_path.first() + by_path.last()).unstack().reindex(columns=list(PATHS)) / 2
    return (ends - lowest).assign(connected=lowest["curved"] >= CONNECTED).reset_index()


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each text: pairs, fall of accuracy on lines and curves, arc length ÷ chord."""
    cells = {}
    for text, pairs in drops(df).groupby("text") if len(df) else ():
        stretch = pairs.loc[pairs["connected"], "stretch"]
        cells[text] = {
            "pairs": len(pairs),
            **{f"fall, {label}": number(pairs[path].mean()) for path, label in PATHS.items()},
            "connected pairs": pairs["connected"].sum(),
            "arc ÷ chord, mean": number(stretch.mean(), 3),
            "arc ÷ chord, longest": number(stretch.max(), 3),
        }
    return pd.DataFrame.from_dict(cells, orient="index").rename_axis("text")


def figure(df: pd.DataFrame) -> plots.Figure:
    """Accuracy along t, with a band of one standard error over texts; and the length of the curves.

    Right, each pair's curve: how far accuracy falls on it against its arc length ÷ chord, filled if
    it joins its ends by solutions; dashed, the longest of the paper's.
    """
    drawn, (left, right) = plots.panels(2, height=3)
    right.axvline(PAPERS_LONGEST, ls="--", color=plots.GREY, label=f"paper: up to {PAPERS_LONGEST}")
    if len(df):
        by_text = df.groupby(["path", "text", "t"], as_index=False)["accuracy"].mean()
        for path, style in plots.line_styles(PATHS).items():
            along = by_text[by_text["path"] == path].groupby("t")["accuracy"]
            plots.mean_band(left, along, style | {"label": PATHS[path], "markersize": 4})
        for joined, pairs in drops(df).groupby("connected"):
            face = style["color"] if joined else "none"
            name = "curve that stays" if joined else "curve that leaves"
            look = {"marker": style["marker"], "edgecolor": style["color"], "label": name}
            right.scatter(pairs["stretch"], pairs["curved"], facecolor=face, alpha=0.8, **look)
    left.set(xlabel="position t on the path", ylabel="accuracy", ylim=(-0.03, 1.05))
    right.set(xlabel="arc length ÷ chord", ylabel="fall of accuracy", ylim=(-0.05, 1.05))
    right.set_xlim(1, max(1.25, right.get_xlim()[1]))
    plots.legend(left, right, ncols=3)
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was joined, and what was left out."""
    counts = {}
    if len(df):
        counts = {"n_pairs": df["pair"].nunique(), "n_texts": df["text"].nunique()}
        counts["sharing"] = SHARES[df["share"].iloc[0]]
    return base.note(df.assign(**counts), FACTS)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Straight lines leave the solutions; curves stay; curves that stay are nearly straight."""
    if df.empty:
        return []
    pairs = drops(df)
    lacking = "solutions that share m" if df["share"].iloc[0] == "none" else ""
    unfinished = lacking
    if not lacking and df["curve_steps"].iloc[0] < MIN_CURVE_STEPS:
        unfinished = f"curves of {MIN_CURVE_STEPS} or more steps"
    longest = pairs[pairs["connected"]].groupby("text")["stretch"].max()
    fall = "accuracy at the ends minus the lowest on the way, mean over the pairs of a text"
    return [
        _claim(
            df,
            (_mean_fall(pairs, "straight"), LEAVES),
            id="A9.straight",
            claim=f"Straight lines between solutions of one text leave them: {fall}",
            published="drops well below 1; shown as a curve",
            untested=lacking,
        ),
        _claim(
            df,
            (_mean_fall(pairs, "curved"), STAYS),
            id="A9.curved",
            claim=f"Bézier curves between them stay among the solutions: {fall}",
            published="near 0; shown as a curve",
            untested=unfinished,
        ),
        _claim(
            df,
            (mean_interval(longest), NEARLY_STRAIGHT),
            id="A9.stretch",
            claim="The curves that stay are nearly straight: arc length ÷ chord, the longest of a "
            "text",
            published=f"{PAPERS_LONGEST}",
            untested=unfinished or ("" if len(longest) else "curves that stay"),
        ),
    ]


def _mean_fall(pairs: pd.DataFrame, path: str) -> Interval:
    known = pairs.dropna(subset=[path])
    return mean_interval(known[path], known["text"], bounds=(0, 1))
