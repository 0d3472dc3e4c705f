"""B3: do proto-tokens know what a text means? (Bondarenko et al., Figs 5–6)

Originals, their misspelt variants and their paraphrases are fitted; vectors of one original
should lie together if meaning is what they hold. The paper shows t-SNE maps and finds that
`m` clusters by meaning more than `e`. Here: how often is a text closer to one of its own family
than to one of another (AUC, chance 0.5)? Paraphrases share meaning, misspelt variants share words;
a bag of the text's tokens and a sentence encoder stand beside the vectors.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import pandas as pd
from pydantic import Field, PositiveInt, model_validator

from reproducer.analysis.clusters import tsne_map
from reproducer.experiments import plots
from reproducer.experiments.base import (
    CommonStart,
    Protocol,
    SolvedParams,
    fit,
    recipes_of,
    vector_frame,
)
from reproducer.experiments.cells import number, with_interval
from reproducer.experiments.semantics_claims import claims
from reproducer.experiments.semantics_measures import DESIGN, KINDS, measured
from reproducer.models.card import model_card
from reproducer.readings.paraphrases import paraphrase_specs, written_families
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Spec
from reproducer.results.vectors import stacked
from reproducer.texts.families import FAMILIES, family_texts, load_families
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "PROTOCOL",
    "Params",
    "claims",
    "figure",
    "map_figure",
    "measured",
    "rows",
    "specs",
    "table",
]
ENCODER = "all-minilm-l6-v2"
MIN_MAPPED = 4
PROTOCOL = Protocol(
    paper="Answers of Dolly-15k, each with six misspelt variants and nine paraphrases by Qwen3-4B, "
    "fitted from random starts; t-SNE maps of e and of m, in which m groups texts of one meaning "
    "more than e does. No number is given.",
    ours="Originals and paraphrases written for this repository unless the profile names Dolly; "
    "misspelt variants by the same library and settings. How often a text is closer to its own "
    "family than to another is stated for e, m and the references, with intervals over families. "
    "Fits from random starts stand beside fits that all start at one point with small steps, whose "
    "vectors are how far they moved.",
    why="Maps show neighbourhoods without a chance level. A fit that starts at random ends near "
    "its start, which hides what texts share. An m that every fit starts from was fitted before: "
    "e and m are compared where both start free.",
)


class Params(SolvedParams):
    """`n_texts` counts originals, of the families that `source` names (`FAMILIES`).

    `lengths`: every text is cut to so many tokens (None: whole, for own `m` only); `n_seeds`:
    starts `seed, seed + 1, …`; `common_start`: recipes that start all fits at one point, which are
    used beside `recipe`.
    """

    source: Literal[*FAMILIES] = "paraphrases"
    lengths: tuple[PositiveInt | None, ...] = Field((24,), min_length=1)
    n_lexical: int = Field(6, ge=0)
    n_paraphrases: int = Field(9, ge=0)
    shares: tuple[Literal["none", "m"], ...] = Field(("none", "m"), min_length=1)
    n_seeds: int = Field(3, ge=1)
    common_start: tuple[CommonStart, ...] = ()
    min_accuracy: float = Field(0.9, ge=0, le=1)

    @model_validator(mode="after")
    def _one_length_under_a_shared_m(self) -> Params:
        if None in self.lengths and "m" in self.shares:
            raise ValueError("expected lengths in tokens for a shared m: its texts need one length")
        return self


def specs(params: Params, known: Known) -> list[Spec]:
    """First what rewrites the originals, where it is needed; then the fits and their meaning."""
    wanted = paraphrase_specs(load_families(params.source, params.n_texts))
    groups = texts_by_length(params, known)
    return [
        *wanted,
        *(spec for texts in groups.values() for spec in fits(params, texts)),
        *(encoded(params, texts) for texts in groups.values()),
    ]


def texts_by_length(params: Params, known: Known) -> dict[str, list[Text]]:
    """All texts of all families, cut to each of the lengths; none until they are written."""
    families = written_families(load_families(params.source, params.n_texts), known)
    tokenizer, sizes = model_card(params.model).tokenizer, (params.n_lexical, params.n_paraphrases)
    return {
        "whole" if length is None else str(length): [
            text
            for family in families
            for text in family_texts(family, params.source, tokenizer, length, *sizes)
        ]
        for length in (params.lengths if families else ())
    }


def fits(params: Params, texts: list[Text]) -> list[FitSpec]:
    """A fit for each text with its own `m`, and one for all together sharing `m`, each design."""
    groups = {"none": [(text,) for text in texts], "m": [tuple(texts)]}
    seeds = range(params.seed, params.seed + params.n_seeds)
    return [
        fit(params, group, share=share, seed=seed, recipe=named)
        for named, seed, share in product(recipes_of(params), seeds, params.shares)
        for group in groups[share]
    ]


def encoded(params: Params, texts: list[Text]) -> SentenceVectorsSpec:
    """The encoder's vectors of the part of every text that is fitted."""
    decode = model_card(params.model).tokenizer.decode
    sentences = dict.fromkeys(decode(text.tokens) for text in texts)
    return SentenceVectorsSpec(model=ENCODER, sentences=tuple(sentences))


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fitted text: `vector_frame`, length, family, kind, tokens and sentence vector.

    `encoder` is None where the encoder's vectors are not known.
    """
    decode = model_card(params.model).tokenizer.decode
    parts = []
    for length, texts in texts_by_length(params, known).items():
        frame = vector_frame(known.all(fits(params, texts)), params)
        if frame.empty:
            continue
        meaning, vectors = known.get(encoded(params, texts)), {}
        if meaning:
            vectors = dict(zip(meaning.spec["sentences"], meaning.arrays["vectors"], strict=True))
        tokens = frame["text"].map({text.id: text.tokens for text in texts})
        labels = frame["text"].str.split("/", expand=True)
        frame = frame.assign(length=length, family=labels[0], kind=labels[1], tokens=tokens)
        parts.append(frame.assign(encoder=[vectors.get(decode(t)) for t in tokens]))
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts, ignore_index=True).assign(min_accuracy=params.min_accuracy)


def table(df: pd.DataFrame, numbers: pd.DataFrame | None = None) -> pd.DataFrame:
    """The AUC "same family closer" and Mantel's correlation with the encoder, with intervals."""
    numbers = measured(df) if numbers is None else numbers
    cells = {
        "same family closer (AUC)": [with_interval(i) for i in numbers["auc"]],
        "correlation with the encoder": [with_interval(i) if i else "–" for i in numbers["mantel"]],
        "families": [number(n, 0) for n in numbers["families"]],
    }
    return pd.DataFrame(cells, index=numbers.index)


def figure(df: pd.DataFrame, numbers: pd.DataFrame | None = None) -> Figure:
    """The AUC of each vector: a panel a kind of variant, a marker a design; dashed: chance."""
    numbers = measured(df) if numbers is None else numbers
    if numbers.empty:
        return plots.nothing("fewer than two originals with a solved variant each")
    measured_kinds = numbers.index.get_level_values("original and")
    kinds = [kind for kind in KINDS.values() if kind in measured_kinds]
    size = (6, 1.5 + 2.3 * len(kinds))
    drawn, axes = plots.figure(1, len(kinds), sharex=True, squeeze=False, figsize=size)
    axes = axes.ravel()
    for axis, kind in zip(axes, kinds, strict=True):
        inside = numbers["auc"][measured_kinds == kind]
        series = {}
        for (start, name, length, share), some in inside.groupby(level=DESIGN, sort=False):
            label = f"{start} ({name}), N = {length}, {'own' if share == 'none' else 'shared'} m"
            series[label] = some.droplevel([*DESIGN, "original and"]).to_dict()
        plots.dots(axis, series)
        axis.axvline(0.5, color="black", linestyle="--", lw=1)
        axis.set(title=f"originals and {kind}", xlim=(0, 1.02))
    axes[-1].set_xlabel("same family closer (AUC)")
    drawn.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center")
    return drawn


def map_figure(df: pd.DataFrame) -> Figure:
    """t-SNE maps of `e` and `m`, own `m`, last design, first seed: a text is its family's number.

    Of the families with the most solved texts, as many as there are colours.
    """
    some = df[(df["accuracy"] >= df["min_accuracy"]) & (df["share"] == "none")]
    for column, place in (("recipe", -1), ("length", -1), ("seed", 0)):
        some = some[some[column] == some[column].iloc[place]] if len(some) else some
    families = sorted(some["family"].value_counts().index[: len(plots.PALETTE)])
    some = some[some["family"].isin(families)]
    if len(some) < MIN_MAPPED:
        return plots.nothing(f"fewer than {MIN_MAPPED} solved texts to map")
    drawn, axes = plots.figure(2, figsize=(6, 3.4))
    for axis, token in zip(axes, ("e", "m"), strict=True):
        places = tsne_map(stacked(some, token))
        axis.scatter(*places.T, s=0)
        for (x, y), family in zip(places, some["family"], strict=True):
            number = families.index(family)
            axis.text(x, y, number + 1, color=plots.PALETTE[number], weight="bold")
        axis.set(title=f"t-SNE of {token}", xticks=[], yticks=[])
    return drawn
