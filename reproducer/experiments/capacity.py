"""A3: how long a text can one forward pass hold? (Mezentsev & Oseledets, Table 3)

The capacity of a text is its longest prefix that comes back with an accuracy of at least 0.99,
in tokens and as the information `H_LM` in that prefix.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from reproducer.analysis.intervals import ratio_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import base, cells, plots
from reproducer.experiments.claims import Verdict, above, below, verdict, within
from reproducer.experiments.held import (
    CENSORING,
    HALF_STEP,
    ONE_STEP,
    capacities,
    censored,
    kind,
    strategies,
    trial_frame,
)
from reproducer.experiments.published import published
from reproducer.experiments.trials import (
    SearchParams,
    Setting,
    reading_specs,
    settings,
    text_specs,
    trials,
)
from reproducer.models.zoo import MODELS
from reproducer.results.known import Known
from reproducer.results.specs import Spec

__all__ = ["PROTOCOL", "Params", "claims", "figure", "rows", "specs", "strategies", "table"]
PROTOCOL = base.Protocol(
    paper="Every length of a grid from 4 to 1448 tokens is fitted for each text of four sources "
    "on six models, with an own m for each text and with one m for all texts of a source. The "
    "table gives the longest length that came back with an accuracy of at least 0.99 for any "
    "text, and the mean information of that prefix.",
    ours="The same criterion, with the distribution over texts beside the maximum. Lengths are "
    "bisected, or a solution is grown length by length; where the whole grid is tried as well, "
    "both are compared. Comparisons are ratios of means over texts, judged only where nearly all "
    "texts fail at some length that was tried.",
    why="A maximum over texts grows with their number and has no interval. A text that holds the "
    "longest length tried says only that its capacity is no less, which draws ratios to 1.",
)
GROWN, DIRECT = "grown to", "direct"
NATURAL = ["unseen", "seen"]
# Of a figure: our column, the paper's, where the axis begins to be logarithmic, and its label.
QUANTITIES = (
    ("held_tokens", "max_tokens", 4, "longest prefix that comes back, tokens"),
    ("h_lm_nats", "h_lm_mean_nats", 32, "its information $H_{LM}$, nats"),
)
FAMILIES = {"pythia": ("^", "Pythia, 160M to 1.4B"), "llama": ("D", "Llama, 1B to 8B")}
_claim = partial(verdict, unit="texts", experiment="capacity")


class Params(SearchParams):
    """`ways`: with an own `m` for each text, with one for all texts of a source, or both.

    `compare_strategies`: under `bisect`, try every length for the first model and source with own
    `m`, too, so that the two strategies can be compared. `direct_at`: under `grow`, hold its texts
    at this length also directly, in as many steps as growth may take (0: do not).
    """

    ways: tuple[Literal["own m", "shared m"], ...] = Field(("own m", "shared m"), min_length=1)
    compare_strategies: bool = True
    direct_at: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _direct_on_grid(self) -> Params:
        if self.direct_at and (self.strategy != "grow" or self.direct_at not in self.grid[1:]):
            raise ReproducerError(
                "expected direct_at as a length that solutions grow to (strategy grow), one of "
                f"{self.grid[1:]}, got {self.direct_at} under {self.strategy}"
            )
        return self


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits that the searches asked for so far, and what the texts say to the model."""
    chosen = _settings(params, known)
    fits = [spec for setting in chosen for spec in trials(setting, known).specs]
    return [*text_specs(params, params.every_model), *fits, *reading_specs(chosen)]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each text and length tried; see `reproducer.experiments.held.trial_frame`."""
    chosen = [trials(setting, known) for setting in _settings(params, known)]
    return trial_frame(chosen, known).assign(profile=params.profile)


def _settings(params: Params, known: Known) -> list[Setting]:
    chosen = settings(params, params.every_model, params.ways, known)
    for own in [setting for setting in chosen if setting.way == "own m"][:1]:
        if params.strategy == "bisect" and params.compare_strategies:
            chosen.append(replace(own, strategy="grid"))
        if params.direct_at:
            at = replace(own, strategy="grid", grid=(params.direct_at,))
            n_stages = own.grid.index(params.direct_at) + 1
            longer = own.recipe.model_copy(update={"max_steps": n_stages * own.recipe.max_steps})
            chosen.append(replace(at, label=GROWN))
            chosen.append(replace(at, label=DIRECT, stages=(), recipe=longer))
    return chosen


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Capacity: ours in columns of their own, then the paper's Table 3.

    `longest` is the maximum over texts, as in the paper; tokens and nats are mean ± standard
    deviation over texts. The paper's cells are `longest; nats`.
    """
    ours = capacities(df).assign(kind=lambda d: d["source"].map(kind))
    mean_std, mean = partial(cells.mean_std, digits=1), lambda values: cells.number(values.mean())
    columns = {}
    for model, of_model in ours.groupby("model", sort=False):
        groups = of_model.groupby(["way", "kind"])
        columns |= {
            (f"ours ({model})", "texts"): groups.size().astype(str),
            (f"ours ({model})", "longest"): groups["held_tokens"].max().astype(str),
            (f"ours ({model})", "tokens"): groups["held_tokens"].agg(mean_std),
            (f"ours ({model})", "nats"): groups["h_lm_nats"].agg(mean_std),
            (f"ours ({model})", "bits/character"): groups["bits_per_character"].agg(mean),
        }
    for model, rows in _published().groupby("model", sort=False):
        columns["paper: longest; nats", model] = rows.set_index(["way", "kind"]).apply(
            lambda r: f"{r.max_tokens}; {r.h_lm_mean_nats:.0f} ± {r.h_lm_std_nats:.0f}", axis=1
        )
    wide = pd.DataFrame(columns).rename_axis(index=["", "source"])
    return wide.sort_index().fillna("–")


def _published() -> pd.DataFrame:
    theirs = published("capacity")
    way = np.where(theirs["shared_m"], "shared m", "own m")
    return theirs.assign(way=way, kind=theirs["source"].map(kind))


def figure(df: pd.DataFrame) -> plots.Figure:
    """Capacity of every text, in tokens and in nats, a column for each source and kind of `m`.

    Bars are means. Hollow: the paper's models on the like source, their longest length and its
    mean information.
    """
    held = capacities(df)
    drawn, axes = plots.figure(1, 2, figsize=(5.6, 8))
    for axis, (ours, theirs, start, name) in zip(axes, QUANTITIES, strict=True):
        axis.set_yscale("symlog", base=2, linthresh=start)
        axis.set_yticks([0, *(start * 2**k for k in range(9 if start < 8 else 8))])
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set(ylabel=name, ylim=(-start / 4, None))
        _strips(axis, held, ours, theirs)
    if len(held):
        end = held["n_tokens"].max()
        axes[0].axhline(end, color=plots.GREY, lw=0.8, ls=":", label="longest tried")
        plots.not_tested(axes[0].axhspan, held["n_tokens"], published("capacity")["max_tokens"])
        plots.legend(*axes)
    return drawn


def _strips(axis: plots.Axes, held: pd.DataFrame, ours: str, theirs: str) -> None:
    places = list(dict.fromkeys(zip(held["source"], held["way"], strict=True)))
    models = plots.model_colours(held["model"].unique())
    width = 0.7 / max(1, len(models))
    for place, texts in held.groupby(["source", "way", "model"], sort=False):
        middle = places.index(place[:2]) + ([*models].index(place[2]) + 0.5) * width - 0.35
        values, colour = texts[ours].sort_values(), models[place[2]]
        x = middle + np.linspace(-0.35, 0.35, len(values)) * width
        axis.plot(x, values, "o", ms=4, alpha=0.7, color=colour, label=place[2])
        axis.hlines(values.mean(), x[0], x[-1], color=colour, lw=3)
    paper = _published()
    for number, (source, way) in enumerate(places):
        alike = paper[(paper["kind"] == kind(source)) & (paper["way"] == way)]
        for family, (marker, name) in FAMILIES.items():
            values = alike.loc[alike["model"].str.startswith(family), theirs]
            plots.paper_marks(axis, [number] * len(values), values, marker, label=f"paper: {name}")
    axis.set_xticks(range(len(places)), ["\n".join(place) for place in places])


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Growth with size; natural sources alike; random words worse; growing solutions, our own."""
    if df.empty:
        return []
    held = capacities(df)
    held = held[held["way"] == "own m"].assign(kind=lambda d: d["source"].map(kind))
    first = held[held["model"] == df["model"].iloc[0]]
    unseen, seen, words = (first[first["kind"] == name] for name in (*NATURAL, "random words"))
    natural = first[first["kind"].isin(NATURAL)]
    return [
        *(_growth(df, held, family) for family in ("llama", "pythia")),
        _claim(
            first if len(first) else df,
            (
                ratio_interval(seen["held_tokens"], unseen["held_tokens"], paired=False),
                within(1 / ONE_STEP, ONE_STEP, "less than one step of the papers' grid of lengths"),
            ),
            untested=censored(unseen=unseen, seen=seen),
            id="A3.natural",
            claim="Natural sources are alike: mean tokens of seen over unseen texts with own m; "
            + CENSORING,
            published="1.00 (362 and 362, Llama-3.2-1B)",
        ),
        _claim(
            first if len(first) else df,
            (
                ratio_interval(words["held_tokens"], natural["held_tokens"], paired=False),
                below(1 / HALF_STEP, "half a step of the papers' grid of lengths"),
            ),
            untested=censored(random=words, natural=natural),
            id="A3.random",
            claim="Random words are worse: mean tokens of random words over natural text with own "
            "m; " + CENSORING,
            published="0.71 (256 and 362, Llama-3.2-1B)",
        ),
        _growth_helps(df),
    ]


def _growth(df: pd.DataFrame, held: pd.DataFrame, family: str) -> Verdict:
    theirs = _published().query("source == 'pg19' and way == 'own m'")
    nats = theirs[theirs["model"].str.startswith(family)]["h_lm_mean_nats"]
    natural = held[held["kind"].isin(NATURAL) & held["model"].str.startswith(family)]
    present = [model for model in MODELS if model in set(natural["model"])] or [""]
    small, large = _matched(*(natural[natural["model"] == m] for m in (present[0], present[-1])))
    grows = family == "llama"
    step = "half a step of the papers' grid of lengths"
    criterion = above(HALF_STEP, step) if grows else below(HALF_STEP, f"no growth of {step}")
    return _claim(
        natural if len(natural) else df,
        (ratio_interval(large["h_lm_nats"], small["h_lm_nats"]), criterion),
        untested=censored(small=small, large=large) if present[1:] else "two models of the family",
        id=f"A3.size-{family}",
        claim=f"Capacity {'grows' if grows else 'does not grow'} with model size for "
        f"{family.capitalize()}: mean nats of the same natural texts with own m, largest model "
        f"over smallest; {CENSORING}",
        published=f"{nats.iloc[-1] / nats.iloc[0]:.2f} (PG-19)",
    )


def _growth_helps(df: pd.DataFrame) -> Verdict:
    both = df[df["strategy"].isin([GROWN, DIRECT])]
    grown, direct = _matched(*(both[both["strategy"] == name] for name in (GROWN, DIRECT)))
    return _claim(
        both if len(both) else df,
        (
            ratio_interval(grown["accuracy"], direct["accuracy"]),
            above(2, "a detour over shorter prefixes should give twice as many right tokens"),
        ),
        untested="" if len(grown) else "texts held both by growth and directly",
        own=True,
        id="A3.growth",
        claim="A solution that grows with its prefix holds more than a direct fit of the same "
        "recipe in as many steps: ratio of mean accuracies at one length, own m",
    )


def _matched(*sides: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of both sides that belong to the same texts, in the same order."""
    one, other = (side.set_index(["source", "text"]) for side in sides)
    both = one.index.intersection(other.index)
    return [one.loc[both], other.loc[both]]
