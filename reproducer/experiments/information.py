"""A4: one forward pass against autoregressive decoding (Mezentsev & Oseledets, Figure 3 of v2).

How much information do the proto-tokens hold, and how much do as many trained vectors in front of
a model that decodes token by token? Untrained weights are asked in
`reproducer.experiments.architecture`.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import ratio_interval
from reproducer.errors import ReproducerError, require_name
from reproducer.experiments import base, plots
from reproducer.experiments.cells import number, share, with_interval
from reproducer.experiments.claims import Verdict, above, verdict, within
from reproducer.experiments.held import (
    CENSORING,
    GROUP,
    HALF_STEP,
    censored,
    greedy_frame,
    longest,
    trial_frame,
)
from reproducer.experiments.trials import (
    N_MEM,
    SearchParams,
    Setting,
    reading_specs,
    settings,
    text_specs,
    trials,
)
from reproducer.results.known import Known
from reproducer.results.specs import Spec
from reproducer.solver.recipes import RECIPES, recipe

PROTOCOL = base.Protocol(
    paper="One or two trained [mem] vectors stand before the text (Kuratov et al.). The logits are "
    "shifted, so the first input token is given: with Llama's tokenizer BOS, with Pythia's the "
    "text's own first token. The vectors start with the spread of the embeddings. The information "
    "of the longest prefix that comes back under teacher forcing is set against that of e and m.",
    ours="The verdicts are about BOS as first input and the embeddings' spread. With t_1 given, "
    "its nats count on neither side. The share of each held prefix that greedy decoding returns "
    "stands beside it.",
    why="Only with BOS is the whole text scored on both sides. Teacher forcing says that every "
    "token is right after the right ones; what a user gets is what decoding returns.",
)
# (autoregressive, one pass): as many trained vectors of its own for each text on either side.
PAIRS = (("1 mem", "shared m"), ("2 mem", "own m"))
SIDES = ("autoregressive", "one pass")
FIRST = {"mem": "the last [mem] predicts t_1", "bos": "BOS predicts t_1", "t1": "t_1 given"}
INIT = {"recipe": "as e and m", "embeddings": "as embeddings"}
AS_EMBEDDED = "embeddings"
# What Kuratov et al. do with Llama's tokenizer: (first, init) of `MemSpec`. The verdicts' design.
DESIGN = ("bos", AS_EMBEDDED)
INDEX = ["model", "source", "text"]
TWICE = above(2, "twice the information")
_claim = partial(verdict, unit="texts", experiment="information")


class Params(SearchParams):
    """`firsts` and `inits`: what follows the `[mem]`, and where they start (`MemSpec`).

    `mem_recipe`: how those move that start as embeddings, if not by `recipe` (""), which may suit
    other starts alone.
    """

    firsts: tuple[Literal["mem", "bos", "t1"], ...] = Field(("bos", "t1"), min_length=1)
    inits: tuple[Literal["recipe", "embeddings"], ...] = Field(("embeddings",), min_length=1)
    mem_recipe: str = ""

    @field_validator("mem_recipe")
    @classmethod
    def _mem_recipe_exists(cls, name: str) -> str:
        return name and require_name("recipe", name, RECIPES)

    @model_validator(mode="after")
    def _something_is_scored(self) -> Params:
        if "t1" in self.firsts and min(self.lengths) < 2:
            raise ReproducerError("expected lengths of at least 2 where t_1 is given, got 1")
        return self


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits that the searches asked for so far; then what decoding returns of their ends."""
    chosen = [trials(setting, known) for setting in _settings(params, known)]
    fits = [spec for tried in chosen for spec in tried.specs]
    greedy = [spec for tried in chosen for spec in tried.greedy]
    readings = reading_specs(tried.setting for tried in chosen)
    return [*text_specs(params, params.every_model), *fits, *greedy, *readings]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each text, way and design: `longest` and `greedy_frame`."""
    chosen = [trials(setting, known) for setting in _settings(params, known)]
    held = longest(trial_frame([tried for tried in chosen if tried.finished], known))
    held = held.merge(greedy_frame(chosen, known), "left", [*GROUP, "text"])
    return held.assign(profile=params.profile)


def _settings(params: Params, known: Known) -> list[Setting]:
    ways = [way for pair in PAIRS for way in reversed(pair)]
    designs = list(itertools.product(params.firsts, params.inits))
    of_mem = recipe(params.mem_recipe or params.recipe, params.max_steps)
    return [
        replace(
            setting, first=first, init=init, **({"recipe": of_mem} if init == AS_EMBEDDED else {})
        )
        for setting in settings(params, params.every_model, ways, known)
        for first, init in (designs if setting.way in N_MEM else [("", "")])
    ]


def paired(df: pd.DataFrame, pair: tuple[str, str], first: str, init: str) -> pd.DataFrame:
    """Each text held both ways; rows (model, source, text), columns (quantity, side).

    Quantities: `nats` and `held_tokens` of the longest prefix that came back, and `n_tokens`, the
    longest tried. Where t_1 is given on the autoregressive side, it counts on neither.
    """
    designed = (df["first"] == first) & (df["init"] == init) & (df["way"] == pair[0])
    chosen = df[designed | (df["way"] == pair[1])]
    given = (first == "t1") * (chosen["held_tokens"] > 0)
    chosen = chosen.assign(
        side=chosen["way"].map(dict(zip(pair, SIDES, strict=True))),
        nats=chosen["h_lm_nats"] - given * chosen["first_nats"],
        held_tokens=chosen["held_tokens"] - given,
        n_tokens=chosen["n_tokens"] - (first == "t1"),
    )
    values = ["nats", "held_tokens", "n_tokens"]
    wide = chosen.pivot(index=INDEX, columns="side", values=values)
    return wide.reindex(columns=pd.MultiIndex.from_product([values, SIDES])).dropna()


def _designs(df: pd.DataFrame) -> list[tuple[str, str]]:
    """What follows the `[mem]` and where they start, in every combination that was run."""
    run = df[df["way"].isin(N_MEM)]
    return list(dict.fromkeys(zip(run["first"], run["init"], strict=True)))


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Means over texts for each design, model, source and pair; the ratio with its 95 % interval.

    `greedy`: the mean share of a held prefix that greedy decoding returns.
    """
    lines = []
    for (first, init), pair in itertools.product(_designs(df), PAIRS):
        of = df[df[["way", "first", "init"]].eq([pair[0], first, init]).all(axis=1)]
        greedy = of.groupby(["model", "source"])["greedy_accuracy"].mean()
        for place, both in paired(df, pair, first, init).groupby(level=[0, 1]):
            means = both.mean()
            lines.append(
                {
                    "autoregressive": f"{pair[0]}, {FIRST[first]}",
                    "start": INIT[init],
                    "one pass": pair[1],
                    **dict(zip(("model", "source"), place, strict=True)),
                    "texts": len(both),
                    **{
                        f"{unit}, {side}": number(means[column, side], 1)
                        for column, unit in (("held_tokens", "tokens"), ("nats", "nats"))
                        for side in SIDES
                    },
                    "greedy": share(greedy.get(place)),
                    "ratio of nats": with_interval(_ratio_of(both["nats"])),
                    "paper's ratio": "about 2 (1 … 5)",
                }
            )
    return pd.DataFrame(lines)


def _ratio_of(sides: pd.DataFrame, **options) -> Interval:
    """The first column's mean over the second's."""
    return ratio_interval(sides.iloc[:, 0], sides.iloc[:, 1], **options)


def figure(df: pd.DataFrame) -> plots.Figure:
    """One-pass `H_LM` against autoregressive `H_LM`: dots are texts, large dots means.

    The design is the one that the verdicts are about, or else the first that was run. Shaded and
    dashed: where the paper's points lie, and its mean ratio.
    """
    import seaborn as sns

    drawn, axes = plots.panels(len(PAIRS), height=3)
    designs = _designs(df) if len(df) else []
    design = DESIGN if DESIGN in designs or not designs else designs[0]
    limit = 1.08 * max([1.0, *df.get("h_lm_nats", ())])
    for axis, pair in zip(axes, PAIRS, strict=True):
        ends = np.array([0, limit])
        axis.fill_between(ends, ends / 5, ends, color="#eeeeee", label="paper: 1 to 5 times")
        axis.plot(ends, ends / 2, "--", color=plots.GREY, label="paper: about 2 times")
        both = paired(df, pair, *design)["nats"] if designs else pd.DataFrame()
        if len(both):
            sources = both.index.unique("source")
            names = {"hue": "model", "style": "source", "x": SIDES[0], "y": SIDES[1], "ax": axis}
            names["palette"] = plots.model_colours(both.index.unique("model"))
            names["markers"] = dict(zip(sources, plots.MARKERS, strict=False))
            sns.scatterplot(both, s=30, alpha=0.6, legend=False, **names)
            means = both.groupby(level=["model", "source"]).mean()
            sns.scatterplot(means, s=130, edgecolor="black", **names)
        axis.set(xlim=(-0.03 * limit, limit), ylim=(-0.03 * limit, limit))
        axis.set_xlabel(f"after {pair[0].replace('mem', '[mem]')}, nats")
        axis.set_ylabel(f"one pass, {pair[1]}, nats")
    plots.legend(*axes)
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The ratio for one and for two vectors; what one holds from the start of `e` and `m`."""
    return [*(_ratio(df, pair) for pair in PAIRS), _start(df)] if len(df) else []


def _ratio(df: pd.DataFrame, pair: tuple[str, str]) -> Verdict:
    both = paired(df, pair, *DESIGN)
    n_vectors = pair[0].split()[0]
    return _claim(
        df,
        (
            _ratio_of(both["nats"], units=both.index.get_level_values("text")),
            within(HALF_STEP, 5, "half a step of the papers' grid; the paper's largest ratio"),
        ),
        untested=_censored(both) if len(both) else "fits with BOS after the [mem]",
        id=f"A4.ratio-{n_vectors}",
        claim=f"Autoregressive decoding after {n_vectors} [mem] and BOS holds more information "
        f"than one pass with {pair[1]}: ratio of mean nats; {CENSORING}",
        published="about 2 (1 to 5)",
    )


def _start(df: pd.DataFrame) -> Verdict:
    """Is it its start, with the steps that suit it, that holds one `[mem]` back? By text."""
    one = df[(df["way"] == "1 mem") & (df["first"] == DESIGN[0])]
    values = ["h_lm_nats", "held_tokens", "n_tokens"]
    wide = one.pivot(index=INDEX, columns="init", values=values)
    both = wide.reindex(columns=pd.MultiIndex.from_product([values, INIT])).dropna()
    nats = both["h_lm_nats"]
    return _claim(
        df,
        (_ratio_of(nats, units=both.index.get_level_values("text")), TWICE),
        untested=_censored(both) if len(both) else "both starts of a [mem] before BOS",
        id="A4.start",
        own=True,
        claim="One [mem] before BOS holds more from a start as e and m have it than from the "
        f"spread of the embeddings, each by its own recipe: ratio of mean nats; {CENSORING}",
    )


def _censored(both: pd.DataFrame) -> str:
    """`censored` for the two sides of `both`, whose columns are (quantity, side)."""
    sides = both.swaplevel(axis=1)
    return censored(**{name: sides[name] for name in both["n_tokens"].columns})
