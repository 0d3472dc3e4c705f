"""A7: how far apart are solutions? (Mezentsev & Oseledets, Fig. 6)

Cosine distances between solutions of one text, of texts that continue one context, and of texts
from different contexts: of where they end, or of how far they moved from a common start.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Literal

import pandas as pd
from pydantic import Field

from reproducer.experiments import base, plots
from reproducer.experiments.cells import number, table_of, with_interval
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.pairs import (
    DESIGN,
    DIFFERENT,
    GROUPS,
    SAME_CONTEXT,
    SAME_TEXT,
    closer,
    common_designs,
    compared,
    pair_frames,
    paper_design,
    title,
)
from reproducer.experiments.profiles import ExperimentParams
from reproducer.readings.continuations import ContinuationSpec, contexts, texts_of
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.solutions import points_of
from reproducer.results.specs import Result, Spec
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text

COMPARISONS = ((SAME_TEXT, SAME_CONTEXT), (SAME_CONTEXT, DIFFERENT))
COMMON = "canonical"  # the recipe of fits from a common start
CLOSER = above(0.6, "0.1 beyond even odds, a third of a standard deviation between the groups")
_claim = partial(verdict, experiment="distances", unit="contexts")

PROTOCOL = base.Protocol(
    paper="Ten continuations of each of 50 contexts; one solution of each, ten of the last. All "
    "solutions share m and start at random; densities of the cosine distance between the e.",
    ours="The same design, on fewer and shorter texts, with the chance that a pair of one group is "
    "closer than one of another, and its interval over contexts. Beside it, fits that all start at "
    "one point and move by small steps: their moves are compared.",
    why="Densities do not say how surely groups differ, and pairs that share a context are not "
    "independent. A vector that stays near a random start tells nothing of its text.",
)


class Params(ExperimentParams):
    """`n_texts` counts contexts here.

    Of each context, `n_continuations` sampled continuations of `n_tokens` tokens: one solution of
    each, and `n_seeds` of the last. `shares`: `m` shared by all solutions, or own. `starts`: each
    fit's own random start under `recipe`, or a common one under `canonical`. A solution whose
    accuracy is below `min_accuracy` is left out and counted.
    """

    source: base.PassageSource = "unseen"
    n_tokens: int = Field(64, ge=1)
    n_continuations: int = Field(10, ge=2)
    n_seeds: int = Field(10, ge=2)
    context_tokens: int = Field(128, ge=1)
    shares: tuple[Literal["m", "none"], ...] = Field(("m", "none"), min_length=1)
    starts: tuple[Literal["own", "common"], ...] = Field(("own",), min_length=1)
    arrangement: base.ArrangementName | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The sampling of each context's continuations; once that is known, the fits of them."""
    return [*sampling(params), *fits(params, texts(params, known))]


def sampling(params: Params) -> list[ContinuationSpec]:
    """The sampling of each context's continuations."""
    return [
        ContinuationSpec(
            model=params.model,
            context=context,
            n_continuations=params.n_continuations,
            n_tokens=params.n_tokens,
        )
        for context in contexts(params.source, params.model, params.n_texts, params.context_tokens)
    ]


def texts(params: Params, known: Known) -> list[tuple[Text, int]]:
    """Each sampled text and its number of solutions; none until all are sampled.

    A text that was sampled twice counts once: fitted twice from one seed it would give one solution
    at distance zero from itself.
    """
    first = sampling(params)
    sampled = [texts_of(result) for result in known.all(first)]
    if len(sampled) < len(first):
        return []
    last = [(continuations[-1], params.n_seeds) for continuations in sampled]
    rest = [(text, 1) for continuations in sampled for text in continuations[:-1]]
    unique: dict[tuple[int, ...], tuple[Text, int]] = {}
    for text, n_solutions in last + rest:
        unique.setdefault(text.tokens, (text, n_solutions))
    return list(unique.values())


def fits(params: Params, wanted: list[tuple[Text, int]]) -> list[FitSpec]:
    """For each design one fit of everything where `m` is shared, else one for each solution."""
    specs: list[FitSpec] = []
    for start, share in product(params.starts, params.shares) if wanted else ():
        rule = recipe(params.recipe if start == "own" else COMMON, params.max_steps)
        solutions = [(text, k) for text, n_solutions in wanted for k in range(n_solutions)]
        if share == "m":
            specs.append(base.fit(params, [text for text, _ in solutions], share="m", recipe=rule))
        else:
            specs += [
                base.fit(params, [t], seed=params.seed + k, recipe=rule) for t, k in solutions
            ]
    return specs


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each pair of solutions and each kind of proto-token that is not shared.

    Columns: model, profile, share, start, role (`e`, `m`), group, same_start (whether the two fits
    began at one point), context_a, context_b, text_a, text_b, distance (cosine; of the moves from a
    common start), counts (solutions used and left out, in words), n_tokens, recipe, device.
    """
    results = known.all(fits(params, texts(params, known)))
    designs: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        start = result.spec["recipe"].get("start", "own")
        designs.setdefault((result.spec["share"], start), []).append(result)
    frames, counts = [], []
    for (share, start), fitted in designs.items():
        points = points_of(fitted, from_start=start == "common")
        kept = [point for point in points if point.accuracy >= params.min_accuracy]
        left_out = f"{len(points) - len(kept)} unsolved fits left out"
        counts.append(f"{title(share, start)}: {len(kept)} solutions, {left_out}")
        frames += pair_frames(kept, share, start)
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).assign(
        **params.model_dump(include={"model", "profile", "n_tokens", "recipe"}),
        counts="; ".join(counts),
        device=results[0].provenance["device"],
    )


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Mean distance of each group, for each design, and apart for pairs that began at one point."""
    if df.empty:
        return pd.DataFrame(columns=list(GROUPS))
    groups = df.groupby([*DESIGN, "same_start", "group"])["distance"]
    cells = groups.agg(lambda d: f"{d.mean():.3f} ± {d.std(ddof=0):.3f} ({len(d)} pairs)")
    wide = cells.unstack("group").rename(index={True: "yes", False: "no"}, level="same_start")
    return wide[[g for g in GROUPS if g in wide]].fillna("–")


def effect_table(df: pd.DataFrame) -> pd.DataFrame:
    """How surely and by how much the nearer group is closer, with intervals over contexts."""
    cells = {}
    for design, pairs in df.groupby(DESIGN) if len(df) else ():
        for near, far in COMPARISONS:
            chance = closer(pairs, near, far)
            means = [pairs.loc[mask, "distance"].mean() for mask in compared(pairs, near, far)]
            cells[*design, near, far] = {
                "contexts": chance.n,
                "chance": with_interval(chance),
                "gap": number(means[1] - means[0], signed=True),
            }
    return table_of(cells, [*DESIGN, "nearer", "farther"])


def figure(df: pd.DataFrame) -> plots.Figure:
    """Share of the pairs of each group that lie at most so far apart; a panel for each design."""
    designs = list(df.groupby(DESIGN)) if len(df) else []
    drawn, axes = plots.panels(len(designs), sharey=True)
    for axis, ((share, start, role), pairs) in zip(axes, designs, strict=False):
        near, far = compared(pairs, SAME_CONTEXT, DIFFERENT)
        masks = {SAME_TEXT: pairs["group"] == SAME_TEXT, SAME_CONTEXT: near, DIFFERENT: far}
        for name, style in plots.line_styles(GROUPS).items():
            values = pairs.loc[masks[name], "distance"]
            look = {"color": style["color"], "linestyle": style["linestyle"], "label": name}
            if len(values):
                axis.ecdf(values, **look)
        what = f"moves of {role}" if start == "common" else role
        axis.set(xlabel=f"cosine distance of {what}", title=title(share, start))
    axes[0].set_ylabel("share of pairs")
    plots.legend(*axes, ncols=3)
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was compared, and what was left out."""
    if len(df):
        df = df.assign(n_contexts=len(set(df["context_a"]) | set(df["context_b"])))
    return base.note(
        df, "{n_contexts} contexts, texts of {n_tokens} tokens, recipe {recipe}; {counts}."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The paper's order of the three groups; our own: fits from one point move alike."""
    if df.empty:
        return []
    pairs, lacking = paper_design(df)
    papers = [
        _claim(
            df,
            (closer(pairs, near, far), CLOSER),
            id=f"A7.{near.replace(' ', '-')}",
            claim=f"Solutions of the {near} are closer than those of {far}: chance that a "
            "pair of the former is closer than one of the latter (e)",
            published="shown as separate densities; no number",
            untested=lacking,
        )
        for near, far in COMPARISONS
    ]
    ours = [
        _claim(
            df,
            (closer(pairs), CLOSER),
            id=f"A7.common-start-{label}",
            claim="From a common start, fits of one context's texts move alike: chance that a "
            f"pair's moves are closer than those of a pair of different contexts ({label})",
            own=True,
        )
        for label, pairs in common_designs(df)
    ]
    return papers + ours
