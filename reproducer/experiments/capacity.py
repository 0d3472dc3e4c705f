"""A3: how long a text can one forward pass hold? (Mezentsev & Oseledets, Table 3)

The capacity of a text is its longest prefix that comes back with an accuracy of at least 0.99,
in tokens and as the information `H_LM` in that prefix. The paper tries every length of a grid;
`bisect` finds the same length with fewer fits where longer prefixes are harder.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from reproducer.analysis.intervals import ratio_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import Protocol
from reproducer.experiments.claims import Verdict, above, below, verdict, within
from reproducer.experiments.held import (
    CENSORING,
    HALF_STEP,
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PROTOCOL", "Params", "claims", "figure", "rows", "specs", "strategies", "table"]
PROTOCOL = Protocol(
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
MARKER = {"own m": "o", "shared m": "s"}
ONE_STEP = 2**0.5  # from one length of the papers' grid to the next
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
    return [*text_specs(params, _models(params)), *fits, *reading_specs(chosen)]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each text and length tried; see `reproducer.experiments.held.trial_frame`."""
    chosen = [trials(setting, known) for setting in _settings(params, known)]
    return trial_frame(chosen, known).assign(profile=params.profile)


def _models(params: Params) -> tuple[str, ...]:
    return params.models or (params.model,)


def _settings(params: Params, known: Known) -> list[Setting]:
    chosen = settings(params, _models(params), params.ways, known)
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
    columns = {}
    for model, of_model in ours.groupby("model", sort=False):
        groups = of_model.groupby(["way", "kind"])
        columns |= {
            (f"ours ({model})", "texts"): groups.size().astype(str),
            (f"ours ({model})", "longest"): groups["held_tokens"].max().astype(str),
            (f"ours ({model})", "tokens"): groups["held_tokens"].agg(_mean_and_std),
            (f"ours ({model})", "nats"): groups["h_lm_nats"].agg(_mean_and_std),
            (f"ours ({model})", "bits/character"): groups["bits_per_character"].agg(_mean),
        }
    theirs = published("capacity")
    theirs["way"] = np.where(theirs["shared_m"], "shared m", "own m")
    theirs["kind"] = theirs["source"].map(kind)
    for model, rows in theirs.groupby("model", sort=False):
        rows = rows.set_index(["way", "kind"])
        columns["paper: longest; nats", model] = rows.apply(
            lambda r: f"{r.max_tokens}; {r.h_lm_mean_nats:.0f} ± {r.h_lm_std_nats:.0f}", axis=1
        )
    wide = pd.DataFrame(columns).rename_axis(index=["", "source"])
    return wide.sort_index().fillna("–")


def _mean_and_std(values: pd.Series) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=0):.1f}"


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.2f}" if values.notna().any() else "–"


def figure(df: pd.DataFrame) -> Figure:
    """Capacity of every text, in tokens and in nats: a column a source, bars are means."""
    from matplotlib.lines import Line2D

    held = capacities(df)
    drawn, axes = plots.figure(2)
    names = {
        "held_tokens": "longest prefix that comes back, tokens",
        "h_lm_nats": "its information $H_{LM}$, nats",
    }
    for axis, (quantity, name) in zip(axes, names.items(), strict=True):
        _strips(axis, held, quantity)
        axis.set_ylabel(name)
    if len(held):
        end = held["n_tokens"].max()
        axes[0].set_ylim(0, 1.08 * end)
        axes[0].axhline(end, color="#555555", lw=0.8, ls=":", zorder=0)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes[0].annotate("longest tried", (1, end), (-2, 3), ha="right", fontsize=8, **place)
        legend = [
            Line2D([], [], ls="", label=", ".join(series), **series_style(*series))
            for series in held.groupby(["model", "way"], sort=False).groups
        ]
        drawn.legend(handles=legend, loc="outside lower center", ncols=4, frameon=False)
    return drawn


def _strips(axis: Axes, held: pd.DataFrame, quantity: str) -> None:
    sources = list(dict.fromkeys(held["source"]))
    series = list(held.groupby(["model", "way"], sort=False).groups)
    width = 0.8 / max(1, len(series))
    for (*place, source), texts in held.groupby(["model", "way", "source"], sort=False):
        style = series_style(*place)
        values = texts[quantity].sort_values()
        middle = sources.index(source) + (series.index(tuple(place)) + 0.5) * width - 0.4
        spread = np.linspace(-0.3, 0.3, len(values)) if len(values) > 1 else np.zeros(1)
        axis.plot(middle + spread * width, values, ls="", ms=4, alpha=0.7, **style)
        bar = [middle - 0.4 * width, middle + 0.4 * width]
        axis.plot(bar, [values.mean()] * 2, color=style["color"], lw=2.5)
    axis.set_xticks(range(len(sources)), sources)
    axis.set_ylim(0, 1.08 * max([1.0, *held[quantity]]))


def series_style(model: str, way: str) -> dict:
    """Colour by model, marker by way; a shared `m` is hollow."""
    colour = plots.MODEL_COLOURS.get(model, "#777777")
    face = "none" if way == "shared m" else colour
    return {"color": colour, "marker": MARKER[way], "markerfacecolor": face}


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Growth with size; natural sources alike; random words worse; growing solutions, our own."""
    if df.empty:
        return []
    held = capacities(df)
    held = held[held["way"] == "own m"].assign(kind=lambda d: d["source"].map(kind))
    first = held[held["model"] == df["model"].iloc[0]]
    sizes = [_growth(df, held, family) for family in ("llama", "pythia")]
    return [*sizes, _natural_alike(df, first), _random_worse(df, first), _growth_helps(df)]


def _growth(df: pd.DataFrame, held: pd.DataFrame, family: str) -> Verdict:
    theirs = published("capacity").query("source == 'pg19' and not shared_m")
    nats = theirs[theirs["model"].str.startswith(family)]["h_lm_mean_nats"]
    natural = held[held["kind"].isin(NATURAL) & held["model"].str.startswith(family)]
    present = [model for model in MODELS if model in set(natural["model"])] or [""]
    small, large = _matched(*(natural[natural["model"] == m] for m in (present[0], present[-1])))
    grows = family == "llama"
    return _claim(
        natural if len(natural) else df,
        (
            ratio_interval(large["h_lm_nats"], small["h_lm_nats"]),
            above(HALF_STEP, "half a step of the papers' grid of lengths")
            if grows
            else below(HALF_STEP, "no growth of half a step of the papers' grid of lengths"),
        ),
        untested=censored(small=small, large=large) if present[1:] else "two models of the family",
        id=f"A3.size-{family}",
        claim=f"Capacity {'grows' if grows else 'does not grow'} with model size for "
        f"{family.capitalize()}: mean nats of the same natural texts with own m, largest model "
        f"over smallest; {CENSORING}",
        published=f"{nats.iloc[-1] / nats.iloc[0]:.2f} (PG-19)",
    )


def _natural_alike(df: pd.DataFrame, held: pd.DataFrame) -> Verdict:
    unseen, seen = (held[held["kind"] == name] for name in NATURAL)
    return _claim(
        held if len(held) else df,
        (
            ratio_interval(seen["held_tokens"], unseen["held_tokens"], paired=False),
            within(1 / ONE_STEP, ONE_STEP, "less than one step of the papers' grid of lengths"),
        ),
        untested=censored(unseen=unseen, seen=seen),
        id="A3.natural",
        claim="Natural sources are alike: mean tokens of seen over unseen texts with own m; "
        + CENSORING,
        published="1.00 (362 and 362, Llama-3.2-1B)",
    )


def _random_worse(df: pd.DataFrame, held: pd.DataFrame) -> Verdict:
    words, natural = held[held["kind"] == "random words"], held[held["kind"].isin(NATURAL)]
    return _claim(
        held if len(held) else df,
        (
            ratio_interval(words["held_tokens"], natural["held_tokens"], paired=False),
            below(1 / HALF_STEP, "half a step of the papers' grid of lengths"),
        ),
        untested=censored(random=words, natural=natural),
        id="A3.random",
        claim="Random words are worse: mean tokens of random words over natural text with own m; "
        + CENSORING,
        published="0.71 (256 and 362, Llama-3.2-1B)",
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
