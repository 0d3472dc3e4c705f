"""B4: do proto-tokens know what kind of sentence they hold? (Bondarenko et al. §3.4, 4.6)

Sentences of seven syntactic classes are fitted. The paper shows t-SNE maps by class and leaves
numbers to later work; we add silhouettes and linear probes. Classes differ in length, and
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
from reproducer.analysis.intervals import bootstrap_interval
from reproducer.analysis.matrices import pair_correlation
from reproducer.analysis.probes import bag_of_words, probe_hits, shuffled_hits
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import fit, fit_frame, tested
from reproducer.experiments.maps import map_figure
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.models.card import model_card
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.vectors import TOKENS, solved, stacked, with_vectors
from reproducer.texts.grammars import CLASSES, GROUPS, sentences
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Condition = Literal["matched", "free"]
BASELINES = ("length only", "bag of words", "shuffled labels")
MIN_TEXTS = 20 * len(CLASSES)
ATTEMPTS = 5000


class Params(ExperimentParams):
    """`n_texts` counts sentences of a class; `n_tokens` is the length of the matched ones.

    `conditions`: `matched`, all of one length, and `free`, as the grammars make them.
    """

    source: Literal["grammar"] = "grammar"
    n_texts: int = Field(40, ge=len(GROUPS))
    n_tokens: int = Field(12, ge=2)
    conditions: tuple[Condition, ...] = Field(("matched", "free"), min_length=1)
    arrangement: str | None = None
    max_steps: int = Field(2000, ge=1)
    stop_accuracy: float = Field(0.9, gt=0, le=1)
    min_accuracy: float = Field(0.9, ge=0, le=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit a sentence, with `e` and `m` of its own."""
    return [
        fit(params, [text])
        for condition in params.conditions
        for text in condition_texts(params, condition)
    ]


def condition_texts(params: Params, condition: Condition) -> list[Text]:
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
    """One row a fitted sentence: `fit_frame`, vectors, condition, class, group, sentence."""
    results = known.all(specs(params, known))
    if not results:
        return pd.DataFrame()
    frame = with_vectors(fit_frame(results, params), results)
    decode = model_card(params.model).tokenizer.decode
    sentence = [decode(r.spec["texts"][0]["tokens"]) for r in results]
    labels = _labels(frame["text"])
    return frame.join(labels).assign(sentence=sentence, min_accuracy=params.min_accuracy)


def _labels(ids: pd.Series) -> pd.DataFrame:
    parts = ids.str.split("/", expand=True)
    return parts[[0, 1, 2]].set_axis(["condition", "class", "group"], axis=1)


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """The solved sentences; raises if there are none."""
    return solved(df, df["min_accuracy"].iloc[0])


def length_table(params: Params) -> pd.DataFrame:
    """Lengths of both sets by class, and how often length alone tells the class (no fit needed)."""
    shown = {}
    for condition in ("matched", "free"):
        texts = condition_texts(params, condition)
        frame = _labels(pd.Series([text.id for text in texts]))
        frame["n_tokens"] = [len(text.tokens) for text in texts]
        groups = frame.groupby("class", sort=False)["n_tokens"]
        hits = _hits(frame, "length only").mean()
        lengths = groups.agg(lambda n: f"{n.mean():.1f} ± {n.std(ddof=0):.1f}")
        shown[condition] = lengths.to_dict() | {"class told by length": f"{hits:.2f}"}
    return pd.DataFrame(shown).rename_axis("class")


def _hits(frame: pd.DataFrame, features: str) -> np.ndarray:
    """Out-of-vocabulary hits (n,) of a probe on one of `TOKENS` or `BASELINES`."""
    labels, groups = frame["class"].to_numpy(), frame["group"].to_numpy()
    if features == "length only":
        return probe_hits(frame[["n_tokens"]].to_numpy(float), labels, groups)
    if features == "bag of words":
        return probe_hits(bag_of_words(frame["sentence"].to_list()), labels, groups)
    if features == "shuffled labels":
        return shuffled_hits(stacked(frame, "[e;m]"), labels, groups)
    return probe_hits(stacked(frame, features), labels, groups)


def measured(df: pd.DataFrame) -> pd.DataFrame:
    """By condition and features: `probe` (share right) and `silhouette`, each `_low`, `_high`.

    `length` is the correlation, over pairs, of cosines with closeness in length; NaN where all
    have one length.
    """
    rows = {}
    for condition, some in usable(df).groupby("condition", sort=False):
        for features in (*TOKENS, *BASELINES):
            row = rows[condition, features] = {}
            row |= _interval("probe", _hits(some, features))
            if features in TOKENS:
                distances = cosine_distances(stacked(some, features))
                row |= _interval("silhouette", silhouettes(distances, some["class"].to_numpy()))
                lengths = some["n_tokens"].to_numpy(float)
                alike = -abs(lengths[:, None] - lengths)
                row["length"] = pair_correlation(1 - distances, alike)
    return pd.DataFrame(rows).T.rename_axis(["condition", "features"])


def _interval(name: str, values: np.ndarray) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), bootstrap_interval(values), strict=True))


def table(df: pd.DataFrame, numbers: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share of sentences whose class a probe names right, and silhouettes by class."""
    numbers = measured(df) if numbers is None else numbers
    shown: dict[str, list[str]] = {
        name: [
            "" if np.isnan(mean) else f"{mean:.2f} ({low:.2f} … {high:.2f})"
            for mean, low, high in numbers[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        ]
        for name in ("probe", "silhouette")
    }
    shown["alike in length, alike in cosine (r)"] = [
        "" if np.isnan(r) else f"{r:.2f}" for r in numbers["length"].astype(float)
    ]
    return pd.DataFrame(shown, index=numbers.index)


def figure(df: pd.DataFrame, condition: str = "matched") -> Figure:
    """t-SNE maps of `e` and `m` by class."""
    some = usable(df)
    return map_figure(some[some["condition"] == condition], "class")


def measure_figure(numbers: pd.DataFrame) -> Figure:
    """Probe accuracy by features, a marker a condition; dashed: chance."""
    drawn, axis = plots.figure()
    order = (*TOKENS, *BASELINES)
    for shift, (condition, style) in enumerate(
        plots.line_styles(numbers.index.unique("condition")).items()
    ):
        some = numbers.loc[condition].loc[list(order)]
        reach = [some["probe"] - some["probe_low"], some["probe_high"] - some["probe"]]
        look = {"color": style["color"], "fmt": style["marker"], "label": f"{condition} lengths"}
        axis.errorbar(some["probe"], np.arange(len(order)) + 0.2 * shift, xerr=reach, **look)
    axis.axvline(1 / len(CLASSES), color="black", linestyle="--", lw=1, label="chance")
    axis.set(
        yticks=range(len(order)),
        yticklabels=order,
        xlim=(-0.02, 1.02),
        xlabel="share of sentences whose class the probe names right",
    )
    axis.invert_yaxis()
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The class can be read from the tokens, beyond chance and beyond the words themselves."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    good = df[(df["accuracy"] >= df["min_accuracy"]) & (df["condition"] == "matched")]
    enough = len(good) >= MIN_TEXTS and df["min_accuracy"].iloc[0] >= 0.9
    read = words = None
    if enough:
        read, words = _hits(good, "[e;m]").astype(float), _hits(good, "bag of words").astype(float)
    chance = 1 / len(CLASSES)
    return [
        _verdict(
            df,
            None if read is None else read - chance,
            id="B4.class",
            claim="A linear probe reads the class from e and m: share right, minus chance",
        ),
        _verdict(
            df,
            None if read is None else read - words,
            id="B4.beyond-words",
            claim="The probe on e and m reads the class better than one on the bag of words",
        ),
    ]


def _verdict(df: pd.DataFrame, values: np.ndarray | None, **fields) -> Verdict:
    return verdict_on(
        df,
        (None, None, None) if values is None else bootstrap_interval(values),
        lambda d: d > 0,
        values is not None,
        experiment="syntax",
        published="t-SNE maps only; numbers left to later work",
        n=0 if values is None else len(values),
        criterion="difference above 0, whole interval over sentences of one length, vocabulary "
        f"unseen in training; needs {MIN_TEXTS} sentences solved to 0.9",
        **fields,
    )
