"""B4: do proto-tokens know what kind of sentence they hold? (Bondarenko et al. §3.4, 4.6)

Sentences of seven syntactic classes are fitted. The paper shows t-SNE maps by class and leaves
numbers to later work; we add linear probes and silhouettes. Classes differ in length, and
length alone would then tell them apart, so that the sentences compared here have one length;
a second set with free lengths shows what happens otherwise.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.clusters import cosine_distances, silhouettes
from reproducer.analysis.intervals import mean_interval
from reproducer.analysis.probes import bag_of_words, cell_accuracy, cells, permutation_p, probe_hits
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import (
    STARTS,
    CommonStart,
    Protocol,
    fit,
    number,
    vector_frame,
    with_interval,
)
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.maps import map_figure
from reproducer.experiments.profiles import ExperimentParams
from reproducer.models.card import model_card
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.vectors import TOKENS, stacked
from reproducer.solver.recipes import recipe
from reproducer.texts.grammars import CLASSES, GROUPS, sentences
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Condition = Literal["matched", "free"]
BASELINES = ("length only", "bag of words")
CHANCE = 1 / len(CLASSES)
MARGIN = above(0.1, "one sentence in ten")
MIN_TEXTS, MIN_ACCURACY = 10, 0.9  # solved sentences of each class; what a verdict calls solved
ATTEMPTS = 5000
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


class Params(ExperimentParams):
    """`n_texts` counts sentences of a class; `n_tokens` is the length of the matched ones.

    `conditions`: `matched`, all of one length, and `free`, as the grammars make them.
    `common_start`: recipes that start all fits at one point, used beside `recipe`.
    """

    source: Literal["grammar"] = "grammar"
    n_texts: int = Field(40, ge=len(GROUPS))
    n_tokens: int = Field(12, ge=2)
    conditions: tuple[Condition, ...] = Field(("matched", "free"), min_length=1)
    common_start: tuple[CommonStart, ...] = ()
    arrangement: str | None = None
    max_steps: int = Field(2000, ge=1)
    stop_accuracy: float = Field(0.9, gt=0, le=1)
    min_accuracy: float = Field(0.9, ge=0, le=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit a sentence and recipe, with `e` and `m` of its own."""
    texts = [text for condition in params.conditions for text in sentences_of(params, condition)]
    recipes = [
        recipe(name, params.max_steps, params.stop_accuracy)
        for name in (params.recipe, *params.common_start)
    ]
    return [fit(params, [text], recipe=named) for named in recipes for text in texts]


def sentences_of(params: Params, condition: Condition) -> list[Text]:
    """Sentences of all classes under a condition."""
    return [text for name in CLASSES for text in class_texts(name, params, condition)]


def class_texts(name: str, params: Params, condition: Condition) -> list[Text]:
    """`n_texts` sentences of a class, the vocabulary groups in turn.

    Raises:
        ReproducerError: the class has too few sentences of exactly `n_tokens` tokens.
    """
    encode, per_group = model_card(params.model).tokenizer.encode, []
    wanted = -(-params.n_texts // len(GROUPS))
    for group in GROUPS:
        candidates = (encode(s) for s in islice(sentences(name, group), ATTEMPTS))
        fitting = (t for t in candidates if condition == "free" or len(t) == params.n_tokens)
        chosen = list(islice(fitting, wanted))
        if len(chosen) < wanted:
            raise ReproducerError(
                f"class {name!r}: expected {wanted} sentences of {params.n_tokens} tokens from "
                f"vocabulary group {group}, got {len(chosen)}; try another n_tokens"
            )
        per_group.append(chosen)
    mark = f"{condition}/{name}"
    turns = (
        Text(source="grammar", id=f"{mark}/{group}/{number}", tokens=tokens)
        for number, row in enumerate(zip(*per_group, strict=True))
        for group, tokens in enumerate(row)
    )
    return list(islice(turns, params.n_texts))


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
    design = ["recipe", "condition"]
    size = good.groupby([*design, "class"])["text"].transform("size")
    good = good[size >= 2]
    several = good.groupby(design)[["class", "group"]].transform("nunique").min(axis=1) >= 2
    return good[several]


def length_table(params: Params) -> pd.DataFrame:
    """Lengths of both sets by class, and how often length alone tells the class (no fit needed)."""
    columns = {}
    for condition in ("matched", "free"):
        texts = sentences_of(params, condition)
        frame = _labels(pd.Series([text.id for text in texts]))
        frame["n_tokens"] = [len(text.tokens) for text in texts]
        groups = frame.groupby("class", sort=False)["n_tokens"]
        told = cell_accuracy(_hits(frame, "length only"), frame["class"], frame["group"])
        lengths = groups.agg(lambda n: f"{n.mean():.1f} ± {n.std(ddof=0):.1f}")
        columns[condition] = lengths.to_dict() | {"class told by length": f"{told:.2f}"}
    return pd.DataFrame(columns).rename_axis("class")


def _features(frame: pd.DataFrame, name: str) -> np.ndarray:
    """One of `TOKENS` or `BASELINES` as a matrix (n_rows, d)."""
    if name == "length only":
        return frame[["n_tokens"]].to_numpy(float)
    if name == "bag of words":
        return bag_of_words(frame["sentence"].to_list())
    return stacked(frame, name)


def _hits(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Whether a probe on these features names each sentence's class right, as 0 or 1."""
    labels, groups = frame["class"].to_numpy(), frame["group"].to_numpy()
    return probe_hits(_features(frame, name), labels, groups).astype(float)


def measured(df: pd.DataFrame) -> pd.DataFrame:
    """By design and features: `probe`, the share right with its interval over cells, `p` by
    shuffling classes within groups, `silhouette`, the mean by class, and `n` sentences.
    """
    values = {}
    for (start, name, condition), some in usable(df).groupby(["start", "recipe", "condition"]):
        labels, groups = some["class"].to_numpy(), some["group"].to_numpy()
        for features in (*TOKENS, *BASELINES):
            matrix = _features(some, features)
            probe = mean_interval(_hits(some, features), cells(labels, groups), bounds=(0, 1))
            p, clusters = permutation_p(matrix, labels, groups), np.nan
            if features in TOKENS:
                clusters = silhouettes(cosine_distances(matrix), labels).mean()
            values[STARTS[start], name, condition, features] = (probe, p, clusters, len(some))
    names = ["start", "recipe", "lengths", "features"]
    index = pd.MultiIndex.from_tuples(values, names=names) if values else None
    return pd.DataFrame(list(values.values()), index, columns=["probe", "p", "silhouette", "n"])


def table(df: pd.DataFrame, numbers: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share of sentences whose class a probe names right, and silhouettes by class."""
    numbers = measured(df) if numbers is None else numbers
    columns = {
        "share right": [with_interval(probe) for probe in numbers["probe"]],
        "p": [number(p, 3) for p in numbers["p"]],
        "silhouette": [number(s) for s in numbers["silhouette"]],
        "sentences": [number(n, 0) for n in numbers["n"]],
    }
    return pd.DataFrame(columns, index=numbers.index)


def figure(df: pd.DataFrame, condition: str = "matched") -> Figure:
    """t-SNE maps of `e` and `m` by class, of the last of the recipes."""
    some = usable(df)
    some = some[some["condition"] == condition]
    some = some[some["recipe"] == some["recipe"].iloc[-1]] if len(some) else some
    return map_figure(some, "class")


def measure_figure(numbers: pd.DataFrame) -> Figure:
    """Probe accuracy by features, a marker a design; dashed: chance."""
    if numbers.empty:
        return plots.nothing("too few solved sentences for a probe")
    drawn, axis = plots.figure()
    designs = numbers["probe"].groupby(level=["start", "recipe", "lengths"])
    plots.dots(
        axis,
        {
            f"{start} ({name}), {lengths} lengths": some.droplevel([0, 1, 2]).to_dict()
            for (start, name, lengths), some in designs
        },
    )
    axis.axvline(CHANCE, color="black", linestyle="--", lw=1, label="chance")
    axis.set(xlim=(-0.02, 1.02), xlabel="share of sentences whose class the probe names right")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The class can be read from the tokens, beyond chance and beyond the words themselves."""
    if df.empty:
        return []
    return [claim for start in STARTS for claim in _claims_from(df, start)]


def _claims_from(df: pd.DataFrame, start: str) -> list[Verdict]:
    """Both claims on the fits from random starts, or from a common one.

    Where every `m` starts at a vector that was fitted before, `e` alone is judged.
    """
    good = usable(df)
    good = good[(good["condition"] == "matched") & (good["start"] == start)]
    free = good[~good["warm_m"]]
    tokens, good = ("[e;m]", free) if len(free) else ("e", good)
    good = good[good["recipe"] == good["recipe"].iloc[0]] if len(good) else good
    sizes = good.groupby("class").size().reindex(CLASSES, fill_value=0)
    lacking = sizes.min() < MIN_TEXTS or df["min_accuracy"].iloc[0] < MIN_ACCURACY
    unit, read, words = [], [], []
    if len(good):
        unit = cells(good["class"].to_numpy(), good["group"].to_numpy())
        read, words = _hits(good, tokens), _hits(good, "bag of words")
    rest = {
        "experiment": "syntax",
        "own": True,
        "unit": "cells (a class in a vocabulary)",
        "published": "t-SNE maps only, no number",
        "untested": f"{MIN_TEXTS} or more sentences of each class and of one length, solved to "
        f"{MIN_ACCURACY:g} from {STARTS[start]}"
        if lacking
        else "",
    }
    source = f"{'e and m' if tokens == '[e;m]' else 'e'}, fits from {STARTS[start]}"
    mark = "" if start == "own" else "-common-start"
    return [
        verdict(
            df,
            (mean_interval(np.subtract(read, CHANCE), unit, bounds=(-CHANCE, 1 - CHANCE)), MARGIN),
            id=f"B4.class{mark}",
            claim="A linear probe reads the class, among words that it never saw, from "
            f"{source}: share right minus chance",
            **rest,
        ),
        verdict(
            df,
            (mean_interval(np.subtract(read, words), unit, bounds=(-1, 1)), MARGIN),
            id=f"B4.beyond-words{mark}",
            claim="A probe reads the class better than from the bag of words, from "
            f"{source}: difference of the shares right",
            **rest,
        ),
    ]
