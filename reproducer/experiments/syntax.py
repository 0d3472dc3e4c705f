"""B4: do proto-tokens know what kind of sentence they hold? (Bondarenko et al. §3.4, 4.6)

Sentences of seven syntactic classes are fitted. The paper shows t-SNE maps by class and leaves
numbers to later work; here a linear probe names the class. Classes differ in length, which alone
would tell them apart, so the sentences compared have one length; a second set with free lengths
shows what happens otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import mean_interval
from reproducer.analysis.probes import bag_of_words, cell_accuracy, cells, permutation_p, probe_hits
from reproducer.experiments import plots
from reproducer.experiments.base import (
    STARTS,
    CommonStart,
    Protocol,
    SolvedParams,
    fit,
    recipes_of,
    vector_frame,
)
from reproducer.experiments.cells import mean_std, number, with_interval
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.models.card import model_card
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.vectors import TOKENS, stacked
from reproducer.texts.grammars import CLASSES, GROUPS, class_texts
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reproducer.analysis.estimates import Interval

Condition = Literal["matched", "free"]
WORDS = "bag of words"
FEATURES = (*TOKENS, "length only", WORDS)
DESIGN = ["start", "recipe", "condition"]
CHANCE = 1 / len(CLASSES)
MARGIN = above(0.1, "one sentence in ten")
MIN_TEXTS, MIN_ACCURACY = 10, 0.9  # solved sentences of each class; what a verdict calls solved
PROTOCOL = Protocol(
    paper="Sentences of seven classes, from a language model and from context-free grammars over "
    "frequent words; t-SNE maps of e and m by class. Quantification is left to future work.",
    ours="Sentences of seven grammars over a lexicon in four groups of disjoint content words, all "
    "of one length. A linear probe is trained on three groups and asked about the fourth; its "
    "intervals are over cells, the sentences of a class in a group. Fits that start at random "
    "points stand beside fits that all start at one point.",
    why="Maps show no numbers. Length and content words give classes away by themselves, and "
    "sentences of one vocabulary are not independent. An m that every fit starts from was fitted "
    "before and is common to all, so that where it is, e is judged alone.",
)


class Params(SolvedParams):
    """`n_texts` counts sentences of a class; `n_tokens` is the length of the matched ones.

    `conditions`: `matched`, all of one length, and `free`, as the grammars make them.
    `common_start`: recipes that start all fits at one point, used beside `recipe`.
    """

    source: Literal["grammar"] = "grammar"
    n_texts: int = Field(40, ge=len(GROUPS))
    n_tokens: int = Field(12, ge=2)
    conditions: tuple[Condition, ...] = Field(("matched", "free"), min_length=1)
    common_start: tuple[CommonStart, ...] = ()
    min_accuracy: float = Field(0.9, ge=0, le=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit a sentence and recipe, with `e` and `m` of its own."""
    texts = [text for condition in params.conditions for text in sentences_of(params, condition)]
    return [fit(params, [text], recipe=named) for named in recipes_of(params) for text in texts]


def sentences_of(params: Params, condition: Condition) -> list[Text]:
    """Sentences of all classes under a condition."""
    encode = model_card(params.model).tokenizer.encode
    n_tokens = params.n_tokens if condition == "matched" else None
    return [t for name in CLASSES for t in class_texts(name, encode, params.n_texts, n_tokens)]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit: `vector_frame`, condition, class, group, sentence."""
    results = known.all(specs(params, known))
    if not results:
        return pd.DataFrame()
    frame = vector_frame(results, params)
    decode = model_card(params.model).tokenizer.decode
    sentence = [decode(r.spec["texts"][0]["tokens"]) for r in results]
    labels = _labels(frame["text"])
    return frame.join(labels).assign(sentence=sentence, min_accuracy=params.min_accuracy)


def _labels(ids: pd.Series) -> pd.DataFrame:
    parts = ids.str.split("/", expand=True)
    return parts[[0, 1, 2]].set_axis(["condition", "class", "group"], axis=1)


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """The solved sentences of those classes and groups that a probe can be asked about."""
    good = df[df["accuracy"] >= df["min_accuracy"]]
    size = good.groupby([*DESIGN, "class"])["text"].transform("size")
    good = good[size >= 2]
    several = good.groupby(DESIGN)[["class", "group"]].transform("nunique").min(axis=1) >= 2
    return good[several]


def length_table(params: Params) -> pd.DataFrame:
    """Lengths of both sets by class, and how often length alone tells the class (no fit needed)."""
    columns = {}
    for condition in ("matched", "free"):
        texts = sentences_of(params, condition)
        frame = _labels(pd.Series([text.id for text in texts]))
        frame["n_tokens"] = [len(text.tokens) for text in texts]
        lengths = frame.groupby("class", sort=False)["n_tokens"].agg(mean_std)
        told = cell_accuracy(_hits(frame, "length only"), frame["class"], frame["group"])
        columns[condition] = lengths.to_dict() | {"class told by length": number(told)}
    return pd.DataFrame(columns).rename_axis("class")


def _features(frame: pd.DataFrame, name: str) -> np.ndarray:
    """One of `FEATURES` as a matrix (n_rows, d)."""
    if name == "length only":
        return frame[["n_tokens"]].to_numpy(float)
    if name == WORDS:
        return bag_of_words(frame["sentence"].to_list())
    return stacked(frame, name)


def _hits(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Whether a probe on these features names each sentence's class right, as 0 or 1."""
    labels, groups = frame["class"].to_numpy(), frame["group"].to_numpy()
    return probe_hits(_features(frame, name), labels, groups).astype(float)


def _share(some: pd.DataFrame, hits: np.ndarray) -> Interval:
    """The share of hits with its interval over cells."""
    return mean_interval(hits, cells(some["class"], some["group"]), bounds=(0, 1))


def table(df: pd.DataFrame) -> pd.DataFrame:
    """By design and features: share of sentences whose class a probe names right, with p.

    The interval is over cells, and p comes from shuffling the classes within groups.
    """
    rows = {}
    for (start, name, condition), some in usable(df).groupby(DESIGN):
        labels, groups = some["class"].to_numpy(), some["group"].to_numpy()
        for features in FEATURES:
            rows[STARTS[start], name, condition, features] = {
                "share right": with_interval(_share(some, _hits(some, features))),
                "p": number(permutation_p(_features(some, features), labels, groups), 3),
                "sentences": str(len(some)),
            }
    if not rows:
        return pd.DataFrame(columns=["share right", "p", "sentences"])
    return pd.DataFrame(rows).T.rename_axis(["start", "recipe", "lengths", "features"])


def figure(df: pd.DataFrame) -> Figure:
    """Share of sentences of one length whose class a probe names right; a panel for each design.

    From `e`, from `m` and from the bag of words, with intervals over the groups of a class, in the
    first row over all cells; dashed: chance.
    """
    good = usable(df)
    designs = list(good[good["condition"] == "matched"].groupby(["start", "recipe"]))
    if not designs:
        return plots.nothing("too few solved sentences of one length for a probe")
    size = (6, 5 * len(designs))
    drawn, axes = plots.figure(1, len(designs), figsize=size, sharex=True, squeeze=False)
    for axis, ((start, name), some) in zip(axes[:, 0], designs, strict=True):
        plots.dots(axis, {features: _by_class(some, features) for features in ("e", "m", WORDS)})
        axis.axvline(CHANCE, color="black", linestyle="--", lw=1, label="chance")
        axis.set(xlim=(-0.02, 1.02), title=f"fits from {STARTS[start]} ({name})")
    axes[-1, 0].set_xlabel("share of sentences whose class the probe names right")
    drawn.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def _by_class(some: pd.DataFrame, features: str) -> dict[str, Interval]:
    hits = _hits(some, features)
    shares = {"all classes": _share(some, hits)}
    for name in CLASSES:
        own = (some["class"] == name).to_numpy()
        if own.any():
            shares[name] = _share(some[own], hits[own])
    return shares


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The class can be read from the tokens, beyond chance and beyond the words themselves."""
    if df.empty:
        return []
    return [claim for start in STARTS for claim in _claims_from(df, start)]


def _claims_from(df: pd.DataFrame, start: str) -> list[Verdict]:
    """Both claims on the fits from random starts, or from a common one."""
    some, tokens = _judged(df, start)
    sizes = some.groupby("class").size().reindex(CLASSES, fill_value=0)
    lacking = sizes.min() < MIN_TEXTS or df["min_accuracy"].iloc[0] < MIN_ACCURACY
    needed = (
        f"{MIN_TEXTS} or more sentences of each class and of one length, solved to "
        f"{MIN_ACCURACY:g} from {STARTS[start]}"
    )
    unit = cells(some["class"], some["group"]) if len(some) else []
    read, words = (_hits(some, name) if len(some) else [] for name in (tokens, WORDS))
    beyond_chance = mean_interval(np.subtract(read, CHANCE), unit, bounds=(-CHANCE, 1 - CHANCE))
    beyond_words = mean_interval(np.subtract(read, words), unit, bounds=(-1, 1))
    source = f"{'e and m' if tokens == '[e;m]' else 'e'}, fits from {STARTS[start]}"
    mark = "" if start == "own" else "-common-start"
    common = {
        "experiment": "syntax",
        "own": True,
        "unit": "cells (a class in a vocabulary)",
        "published": "t-SNE maps only, no number",
        "untested": needed if lacking else "",
    }
    return [
        verdict(
            df,
            (beyond_chance, MARGIN),
            id=f"B4.class{mark}",
            claim="A linear probe reads the class, among words that it never saw, from "
            f"{source}: share right minus chance",
            **common,
        ),
        verdict(
            df,
            (beyond_words, MARGIN),
            id=f"B4.beyond-words{mark}",
            claim="A probe reads the class better than from the bag of words, from "
            f"{source}: difference of the shares right",
            **common,
        ),
    ]


def _judged(df: pd.DataFrame, start: str) -> tuple[pd.DataFrame, str]:
    """The sentences of one length from a kind of start, first recipe, and the vectors asked.

    Where every `m` starts at a vector that was fitted before, `e` alone is judged.
    """
    good = usable(df)
    good = good[(good["condition"] == "matched") & (good["start"] == start)]
    free = good[~good["warm_m"]]
    good, tokens = (free, "[e;m]") if len(free) else (good, "e")
    return good[good["recipe"] == next(iter(good["recipe"]), "")], tokens
