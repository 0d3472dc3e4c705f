"""Whose is the capacity: the architecture's, or what training on language adds? (not in the papers)

Models with untrained weights, of the trained model's shape and of shapes that differ from it in one
number, hold the same texts as the trained model: tokens drawn at random, of which training can tell
no more than how frequent each is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import Field, PositiveInt, model_validator

from reproducer.errors import ReproducerError
from reproducer.experiments import base, cells, plots
from reproducer.experiments.architecture_claims import (
    DIMENSIONS,
    TRAINED,
    UNTRAINED,
    along,
    best,
    claims,
)
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.experiments.trials import Grid, Setting, Trials, trials
from reproducer.models.card import model_card
from reproducer.models.shapes import CHANGES, n_parameters, split_name
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices
from reproducer.results.specs import Spec
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text

__all__ = ["PROTOCOL", "Params", "best", "claims", "figure", "note", "rows", "specs", "table"]
BLOCK = 64  # tokens of every text are drawn together, so that a longer text goes on
SHAPE = ["layers", "width", "vocab"]
PROTOCOL = base.Protocol(
    paper="Capacity is measured on trained models of six sizes. What of it would be there without "
    "training is not asked.",
    ours="The trained model and untrained models of changed shapes hold the same texts, whose "
    "tokens are drawn evenly from those that all models have. Models of the trained one's shape "
    "are fitted under each of several recipes, and what counts is the one under which a model "
    "holds most; other shapes are fitted under the first.",
    why="Start and rate that suit trained weights need not suit untrained ones. Of tokens drawn at "
    "random a trained model can know no more than how frequent each is; every untrained model "
    "stands for one draw of its weights.",
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
    lengths: Grid = Field((1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64), min_length=1)
    recipes: tuple[base.RecipeName, ...] = Field(("cold", "long"), min_length=1)
    max_steps: int = Field(400, ge=1)

    @model_validator(mode="after")
    def _models_differ_and_have_the_tokens(self) -> Params:
        if self.first_id >= self.last_id:
            raise ReproducerError(
                f"expected last_id above first_id {self.first_id}, got {self.last_id}"
            )
        weights = [model_card(model).weights for model in self.models[1:]]
        for number, model in enumerate(self.models[1:]):
            if not model_card(model).untrained or weights[number] in weights[:number]:
                raise ReproducerError(
                    f"expected untrained models of different shapes beside {self.model!r}, got "
                    f"{model!r}"
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
    """Texts of the longest length, every token drawn evenly and by itself.

    More texts or longer ones begin with the same tokens.
    """
    n_tokens = max(params.lengths)
    shape, ends = (params.n_texts, BLOCK), (params.first_id, params.last_id)
    drawn = [
        np.random.default_rng([params.seed, block]).integers(*ends, shape, endpoint=True)
        for block in range(-(-n_tokens // BLOCK))
    ]
    return tuple(
        Text(source="tokens", id=f"tokens-{number}", tokens=tuple(map(int, tokens[:n_tokens])))
        for number, tokens in enumerate(np.concatenate(drawn, axis=1), start=1)
    )


def _searches(params: Params, known: Known) -> list[Trials]:
    found, wanted = [], texts(params)
    for model in params.models:
        own_shape = model in (params.model, params.untrained)
        for name in params.recipes if own_shape else params.recipes[:1]:
            setting = Setting(
                model=model,
                source="tokens",
                way="own m",
                texts=wanted,
                grid=params.lengths,
                strategy="bisect",
                arrangement=model_card(params.model).arrangement,
                recipe=recipe(name, params.max_steps),
                seed=params.seed,
            )
            found.append(trials(setting, known))
    return found


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each model, recipe and text; a model counts once all its searches are finished.

    Columns: model, profile, weights (trained or untrained), layers, width, vocab, n_parameters,
    n_ids (how many tokens are drawn from), varied (the dimension in which a shape differs, "" for
    the trained model's shape, "family" for the others), recipe, max_steps, text,
    held_tokens, longest (the longest length tried), device.
    """
    searches = _searches(params, known)
    unfinished = {tried.setting.model for tried in searches if not tried.finished}
    frames = [_held(t, params) for t in searches if t.setting.model not in unfinished]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _held(tried: Trials, params: Params) -> pd.DataFrame:
    model = tried.setting.model
    shape = model_card(model).config
    _, changes = split_name(model.removeprefix(RANDOM_PREFIX))
    devices = (result.provenance["device"] for result in tried.results.values())
    return pd.DataFrame(
        {
            "model": model,
            "profile": params.profile,
            "weights": TRAINED if model == params.model else UNTRAINED,
            **{name: shape[CHANGES[name]] for name in SHAPE},
            "n_parameters": n_parameters(shape),
            "n_ids": params.last_id - params.first_id + 1,
            "varied": "family" if model in params.others else next(iter(changes), ""),
            "recipe": tried.setting.recipe.name,
            "max_steps": tried.setting.recipe.max_steps,
            "text": [text.id for text in tried.setting.texts],
            "held_tokens": [search.longest for search in tried.searches],
            "longest": max(params.lengths),
            "device": joined_devices(devices),
        }
    )


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Tokens held by each model under each recipe: mean ± deviation over texts, and the most.

    `bits a token`: what a drawn token says to weights that have no preference; to trained ones at
    least what it says to someone who knows which tokens are drawn from.
    """
    lines = {}
    for keys, of in df.groupby(["model", "recipe"], sort=False) if len(df) else ():
        first = of.iloc[0]
        lines[keys] = {
            "parameters": f"{first['n_parameters'] / 1e6:.1f} M",
            **{DIMENSIONS[name]: f"{first[name]:,}" for name in ("width", "layers", "vocab")},
            "bits a token": _bits(first),
            "tokens held": cells.mean_std(of["held_tokens"], digits=1),
            "most": f"{of['held_tokens'].max()}",
        }
    return cells.table_of(lines, ["model", "recipe"])


def _bits(row: pd.Series) -> str:
    all_tokens = cells.number(np.log2(row["vocab"]), 1)
    if row["weights"] == UNTRAINED:
        return all_tokens
    return f"{cells.number(np.log2(row['n_ids']), 1)} … {all_tokens}"


def figure(df: pd.DataFrame) -> plots.Figure:
    """Tokens held against the number of weights, and against each dimension of the shape."""
    if df.empty:
        return plots.nothing("no model")
    drawn, (left, right) = plots.panels(2, height=3.6)
    _by_size(left, best(df))
    styles = plots.line_styles(DIMENSIONS)
    for name, label in DIMENSIONS.items():
        line = along(df, name)
        middle = line[line["varied"] == ""]
        if line["model"].nunique() > 1 and len(middle):
            line = line.assign(factor=line[name] / middle[name].iloc[0])
            means = line.groupby("factor")["held_tokens"].agg(["mean", "sem"])
            look = styles[name] | {"label": f"untrained, by {label}"}
            right.errorbar(means.index, means["mean"], yerr=means["sem"].fillna(0), **look)
    right.set(xscale="log", xlabel="times the trained shape's")
    right.set(ylabel="tokens held, mean ± s.e.", ylim=(0, None))
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
    axis.set_yscale("symlog", base=2, linthresh=1)
    axis.set_ylim(0, 2 * max(theirs["max_tokens"].max(), counted["held_tokens"].max()))
    axis.yaxis.set_major_formatter("{x:g}")


def note(df: pd.DataFrame) -> str:
    """One line for the page: which models, how many texts."""
    if df.empty:
        return base.NOTHING_STORED
    n_models, n_texts = df["model"].nunique(), df["text"].nunique()
    return base.note(df, f"{n_models} models, {n_texts} texts of at most {{longest}} tokens.")
