"""Whose is the capacity: the architecture's, or what training on language adds? (not in the papers)

Models with untrained weights, of the trained model's shape and of shapes that differ from it in one
number, hold the same texts as the trained model: tokens drawn at random, which no training makes
any likelier.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from pydantic import Field, PositiveInt, field_validator, model_validator

from reproducer.analysis.intervals import ratio_interval
from reproducer.analysis.prefix_search import checked_grid
from reproducer.errors import ReproducerError
from reproducer.experiments import base, cells, plots
from reproducer.experiments.claims import Verdict, above, verdict, within
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.experiments.trials import Setting, Trials, trials
from reproducer.models.card import model_card
from reproducer.models.shapes import CHANGES, n_parameters, split_name
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.results.known import Known
from reproducer.results.specs import Spec
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text

DIMENSIONS = {"width": "width", "layers": "depth", "vocab": "vocabulary"}
TRAINED, UNTRAINED = "trained", "untrained"
TWICE = above(2, "twice as many tokens")
SAME = within(2**-0.5, 2**0.5, "less than one step of the papers' grid of lengths")
SHAPE = ["layers", "width", "vocab"]
_claim = partial(verdict, experiment="architecture", unit="texts", own=True)
PROTOCOL = base.Protocol(
    paper="Capacity is measured on trained models of six sizes. What of it would be there without "
    "training is not asked.",
    ours="The trained model and untrained models of changed shapes hold the same texts, whose "
    "tokens are drawn evenly from those that all models have. Models of the "
    "trained one's shape are fitted under each of several recipes, and what counts is the one "
    "under which a model holds most; other shapes are fitted under the first.",
    why="Start and rate that suit trained weights need not suit untrained ones. Tokens drawn at "
    "random carry the same information for every model, whatever it learned of language.",
)


class Params(ExperimentParams):
    """`model`: the trained one; `widths`, `layers`, `vocabularies`: one number changed at a time.

    `others`: more untrained models, shown beside them. Tokens are drawn from the ids `first_id` to
    `last_id`. `lengths`: the grid of the search. Models of the trained one's shape are fitted under
    each of `recipes`, the others under the first of them.
    """

    UNUSED = ("recipe", "source")

    n_texts: int = Field(12, ge=1)
    widths: tuple[PositiveInt, ...] = (192, 384, 1152)
    layers: tuple[PositiveInt, ...] = (2, 8)
    vocabularies: tuple[PositiveInt, ...] = (4096, 16384)
    others: tuple[str, ...] = ("random:pythia-160m",)
    first_id: int = Field(32, ge=0)
    last_id: int = Field(4095, ge=1)
    lengths: tuple[PositiveInt, ...] = Field(
        (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64), min_length=1
    )
    recipes: tuple[str, ...] = Field(("cold", "long"), min_length=1)
    max_steps: int = Field(400, ge=1)

    @field_validator("recipes")
    @classmethod
    def _recipes_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(recipe(name).name for name in names)

    @field_validator("lengths")
    @classmethod
    def _sorted(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        return checked_grid(lengths)

    @model_validator(mode="after")
    def _all_models_have_the_tokens(self) -> Params:
        if self.first_id >= self.last_id:
            raise ReproducerError(
                f"expected last_id above first_id {self.first_id}, got {self.last_id}"
            )
        for model in self.models:
            if self.last_id >= (size := model_card(model).config["vocab_size"]):
                raise ReproducerError(
                    f"model {model!r}: expected last_id below its {size} tokens, got {self.last_id}"
                )
        return self

    @property
    def untrained(self) -> str:
        """The untrained model of the trained one's shape."""
        return f"{RANDOM_PREFIX}{self.model}"

    @property
    def models(self) -> tuple[str, ...]:
        """The trained model, the untrained one of its shape, the changed ones, and the others."""
        changes = {"width": self.widths, "layers": self.layers, "vocab": self.vocabularies}
        changed = (f"{self.untrained}:{name}={n}" for name, ns in changes.items() for n in ns)
        return (self.model, self.untrained, *changed, *self.others)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits that the searches asked for so far."""
    return [spec for tried in _searches(params, known) for spec in tried.specs]


def texts(params: Params) -> tuple[Text, ...]:
    """Texts of the longest length, every token drawn evenly and by itself."""
    draw = np.random.default_rng(params.seed)
    shape = params.n_texts, max(params.lengths)
    drawn = draw.integers(params.first_id, params.last_id, shape, endpoint=True)
    return tuple(
        Text(source="tokens", id=f"tokens-{number}", tokens=tuple(map(int, tokens)))
        for number, tokens in enumerate(drawn, start=1)
    )


def _searches(params: Params, known: Known) -> list[Trials]:
    found = []
    for model in params.models:
        own_shape = model in (params.model, params.untrained)
        for name in params.recipes if own_shape else params.recipes[:1]:
            setting = Setting(
                model=model,
                source="tokens",
                way="own m",
                texts=texts(params),
                grid=params.lengths,
                strategy="bisect",
                arrangement=model_card(params.model).arrangement,
                recipe=recipe(name, params.max_steps),
                seed=params.seed,
            )
            found.append(trials(setting, known))
    return found


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each model, recipe and text whose search is finished.

    Columns: model, profile, weights (trained or untrained), layers, width, vocab, n_parameters,
    varied (the dimension in which a shape differs, "" for the trained model's shape, "family" for
    the others), recipe, text, held_tokens, longest (the longest length tried), device.
    """
    frames = [_held(tried, known, params) for tried in _searches(params, known) if tried.finished]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _held(tried: Trials, known: Known, params: Params) -> pd.DataFrame:
    model = tried.setting.model
    shape = model_card(model).config
    _, changes = split_name(model.removeprefix(RANDOM_PREFIX))
    devices = {known.get(spec, arrays=False).provenance["device"] for spec in tried.specs}
    return pd.DataFrame(
        {
            "model": model,
            "profile": params.profile,
            "weights": TRAINED if model == params.model else UNTRAINED,
            **{name: shape[CHANGES[name]] for name in SHAPE},
            "n_parameters": n_parameters(shape),
            "varied": "family" if model in params.others else next(iter(changes), ""),
            "recipe": tried.setting.recipe.name,
            "text": [text.id for text in tried.setting.texts],
            "held_tokens": [search.longest for search in tried.searches],
            "longest": max(params.lengths),
            "device": " and ".join(sorted(devices)),
        }
    )


def best(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model under the recipe by which it holds most tokens, in the mean."""
    if df.empty:
        return df
    means = df.groupby(["model", "recipe"], sort=False)["held_tokens"].mean()
    chosen = means.groupby("model", sort=False).idxmax()
    return df[[pair in set(chosen) for pair in zip(df["model"], df["recipe"], strict=True)]]


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Tokens held by each model under each recipe: mean ± deviation over texts, and the most."""
    lines = {}
    for keys, of in df.groupby(["model", "recipe"], sort=False) if len(df) else ():
        first = of.iloc[0]
        lines[keys] = {
            "weights": first["weights"],
            "parameters": f"{first['n_parameters'] / 1e6:.1f} M",
            **{DIMENSIONS[name]: f"{first[name]:,}" for name in ("width", "layers", "vocab")},
            "texts": f"{len(of)}",
            "tokens held": cells.mean_std(of["held_tokens"], digits=1),
            "most": f"{of['held_tokens'].max()}",
        }
    return cells.table_of(lines, ["model", "recipe"])


def figure(df: pd.DataFrame) -> plots.Figure:
    """Tokens held against the number of weights, and against each dimension of the shape."""
    if df.empty:
        return plots.nothing("no model")
    drawn, (left, right) = plots.panels(2, height=3.6)
    counted = best(df)
    _by_size(left, counted)
    own = counted[counted["weights"] == UNTRAINED]
    middle = own[own["varied"] == ""]
    styles = plots.line_styles(DIMENSIONS)
    for name, label in DIMENSIONS.items():
        line = pd.concat([middle, own[own["varied"] == name]])
        if line["model"].nunique() > 1 and len(middle):
            line = line.assign(factor=line[name] / middle[name].iloc[0])
            means = line.groupby("factor")["held_tokens"].agg(["mean", "sem"])
            look = styles[name] | {"label": f"untrained, by {label}"}
            right.errorbar(means.index, means["mean"], yerr=means["sem"].fillna(0), **look)
    right.set(xscale="log", xlabel="times as much as in the trained model's shape")
    right.set(ylabel="tokens held, mean ± standard error", ylim=(0, None))
    plots.legend(left, right)
    return drawn


def _by_size(axis: plots.Axes, counted: pd.DataFrame) -> None:
    looks = {TRAINED: ("*", plots.PALETTE[1], 90), UNTRAINED: ("o", plots.PALETTE[0], 25)}
    for weights, (marker, color, size) in looks.items():
        points = counted[counted["weights"] == weights].groupby("model")
        means = points[["n_parameters", "held_tokens"]].mean()
        axis.scatter(*means.to_numpy().T, s=size, marker=marker, color=color, label=weights)
    theirs = published("capacity").query("source == 'random' and not shared_m")
    sizes = [n_parameters(model_card(f"shape:{name}").config) for name in theirs["model"]]
    plots.paper_marks(axis, sizes, theirs["max_tokens"], label="paper: trained, random words, most")
    axis.set(xscale="log", xlabel="weights", ylabel="tokens held, mean over texts")
    plots.log_axis(axis)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """What training adds; what width, depth and vocabulary change without it."""
    if df.empty:
        return []
    counted = best(df)
    untrained = counted[(counted["weights"] == UNTRAINED) & (counted["varied"] != "family")]
    trained = counted[counted["weights"] == TRAINED]
    plain = untrained[untrained["varied"] == ""]
    return [
        _judged(
            df,
            trained,
            plain,
            TWICE,
            id="architecture.training",
            claim="Training on language adds capacity, of tokens drawn at random, too: mean tokens "
            "held, trained over untrained weights of one shape",
        ),
        *(_along(df, untrained, plain, name) for name in DIMENSIONS),
    ]


def _along(df: pd.DataFrame, untrained: pd.DataFrame, plain: pd.DataFrame, name: str) -> Verdict:
    line = pd.concat([plain, untrained[untrained["varied"] == name]])
    ends = (line[line[name] == end] for end in (line[name].max(), line[name].min()))
    what = DIMENSIONS[name]
    says = "matters little" if name == "vocab" else f"grows with {what}"
    subject = "The size of the vocabulary" if name == "vocab" else "What untrained weights hold"
    return _judged(
        df,
        *(ends if line[name].nunique() > 1 else (line[:0], line[:0])),
        SAME if name == "vocab" else TWICE,
        id=f"architecture.{what}",
        claim=f"{subject} {says}: mean tokens held by untrained weights of the largest {what} over "
        "the smallest",
    )


def _judged(df: pd.DataFrame, more: pd.DataFrame, less: pd.DataFrame, criterion, **fields: str):
    """Paired by text; a text that holds the longest length tried leaves the ratio open."""
    sides = [side.set_index("text") for side in (more, less)]
    both = sides[0].index.intersection(sides[1].index)
    more, less = (side.loc[both] for side in sides)
    censored = [bool((side["held_tokens"] == side["longest"]).any()) for side in (more, less)]
    ratio = ratio_interval(
        more["held_tokens"],
        less["held_tokens"],
        censored_above=censored[0],
        censored_below=censored[1],
    )
    untested = "" if len(both) else "texts held by both models"
    return _claim(df, (ratio, criterion), untested=untested, **fields)


def note(df: pd.DataFrame) -> str:
    """One line for the page: which models, how many texts."""
    if df.empty:
        return base.NOTHING_STORED
    n_models, n_texts = df["model"].nunique(), df["text"].nunique()
    return base.note(df, f"{n_models} models, {n_texts} texts of at most {{longest}} tokens.")
