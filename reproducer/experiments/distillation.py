"""B6: can the `e` of several texts take over how alike their meanings are? (Bondarenko et al.)

Texts are fitted in batches, and a term of the loss pulls the cosines between the `e` of a batch
towards those between their sentence embeddings (Figs 11–13). The paper finds that the correlation
of the two rises and that accuracy does not fall. We add whether the relation also holds between
texts that never shared a batch: whether `e` learns meaning, or where its five neighbours are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.agreement import relational_correlation
from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import mean_interval, statistic_interval
from reproducer.experiments import plots
from reproducer.experiments.base import (
    Protocol,
    SolvedParams,
    TeacherName,
    decoded,
    fit,
    fit_frame,
    texts_of,
)
from reproducer.experiments.cells import number, with_interval
from reproducer.experiments.claims import Criterion, Part, Verdict, above, verdict
from reproducer.results.fits import FitSpec, Regularizer
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Result, Spec
from reproducer.results.vectors import with_vectors
from reproducer.texts.sentence_encoder import EMBEDDED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_ACCURACY = 0.8
SHARES = {"none": "own m", "m": "shared m"}
RISES = above(0.2, "a fifth of the way from no relation to the teacher's own")
STAYS = above(-0.05, "half of what the anchor may cost, since here the paper sees no loss")
GOES = above(0.1, "half of what is asked within batches")

PROTOCOL = Protocol(
    paper="Batches of six texts, with an own or a shared `m`, under the mean squared or the Huber "
    "distance between the cosines of the `e` and those of Qwen3-Embedding-8B; the correlation of "
    "the two inside each batch at every step, and the accuracy of each text.",
    ours="The same against the same batches without the term; and the correlation over pairs of "
    "texts from different batches.",
    why="A batch of six has fifteen cosines to fit and thousands of numbers to fit them with, so "
    "its own correlation cannot tell learnt meaning from a table of similarities.",
)


class Params(SolvedParams):
    """Every term at every weight under every sharing, on `n_batches` batches; `n_texts` is unused.

    The weight 0 is the control, and is fitted once for each sharing.
    """

    UNUSED = ("n_texts",)

    teacher: TeacherName = EMBEDDED
    terms: tuple[Literal["mse", "huber"], ...] = Field(("mse", "huber"), min_length=1)
    weights: tuple[float, ...] = Field((0.0, 1.0, 10.0), min_length=1)
    shares: tuple[Literal["none", "m"], ...] = Field(("none", "m"), min_length=1)
    n_batches: int = Field(8, ge=1)
    batch_size: int = Field(6, ge=3)  # the cosines of fewer texts cannot correlate
    n_tokens: int = Field(32, ge=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits, and what the teacher makes of each batch."""
    wanted = fits(params)
    return [*(spec.penalty.teacher for spec in wanted), *wanted]


def fits(params: Params) -> list[FitSpec]:
    """One fit for each batch, sharing, term and weight, with traces."""
    texts = texts_of(params, params.n_tokens, params.n_batches * params.batch_size)
    settings = [(term, weight) for term in params.terms for weight in params.weights if weight]
    if 0 in params.weights:
        settings = [(params.terms[0], 0.0), *settings]
    wanted = []
    for first in range(0, len(texts), params.batch_size):
        batch = texts[first : first + params.batch_size]
        teacher = SentenceVectorsSpec(model=params.teacher, sentences=decoded(params, batch))
        for share, (term, weight) in product(params.shares, settings):
            penalty = Regularizer(term=term, weight=weight, teacher=teacher)
            wanted.append(fit(params, batch, share=share, penalty=penalty, trace=True))
    return wanted


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a text whose fit and whose teacher's vectors are known.

    Columns: those of `fit_frame`; `e` and `teacher`, vectors; `setting`, as `mse × 10` or `none`,
    `term`, `weight`; `batch`, its first text; `agreement` and `trace`, the correlation of the
    batch's cosines with the teacher's, of the reported state and at each step.
    """
    pairs = [(known.get(spec), known.get(spec.penalty.teacher)) for spec in fits(params)]
    pairs = [(fitted, vectors) for fitted, vectors in pairs if fitted and vectors]
    results = [fitted for fitted, _ in pairs]
    frame = with_vectors(fit_frame(results, params), results)
    return frame.join(pd.DataFrame([row for pair in pairs for row in _relation(*pair)]))


def _relation(fitted: Result, vectors: Result) -> Iterator[dict]:
    penalty, teacher = fitted.spec["penalty"], vectors.arrays["vectors"].astype(float)
    term, weight = penalty["term"], penalty["weight"]
    e = fitted.arrays["rows"][: len(teacher)].astype(float)
    shared = {
        "term": term if weight else "none",
        "weight": weight,
        "setting": f"{term} × {weight:g}" if weight else "none",
        "agreement": relational_correlation(e, teacher),
        "trace": fitted.arrays["trace_agreement"].astype(float),
        "batch": fitted.spec["texts"][0]["id"],
    }
    for vector in teacher:
        yield {**shared, "teacher": vector}


def between_batches(df: pd.DataFrame) -> float:
    """Correlation of the cosines of `e` with the teacher's over pairs from different batches."""
    if df.empty:
        return float("nan")
    batches = df["batch"].to_numpy()
    vectors = (np.stack(df[column].to_list()) for column in ("e", "teacher"))
    return relational_correlation(*vectors, batches[:, None] != batches)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, and correlation with the teacher's cosines within and between batches.

    Between: over pairs of texts from different batches, with a 95 % interval over batches where
    there are enough of them for one.
    """
    if df.empty:
        return pd.DataFrame()
    cells = {}
    for (share, setting), some in df.groupby(["share", "setting"], sort=False):
        cells[SHARES[share], setting] = {
            "accuracy": number(some["accuracy"].mean()),
            "correlation within batches": number(_by_batch(some, "agreement").mean()),
            "between batches": with_interval(reach(some)),
        }
    return pd.DataFrame(cells).T.rename_axis(["m", "term"])


def figure(df: pd.DataFrame) -> Figure:
    """Correlation with the teacher's cosines by step, and accuracy; a row for each sharing of `m`.

    Thin lines and dots are batches, thick lines and diamonds their means.
    """
    if df.empty:
        return plots.nothing("no batch")
    shares, settings = df["share"].unique(), plots.line_styles(df["setting"].unique())
    size = (6, 3.6 * len(shares))
    drawn, axes = plots.figure(2, len(shares), figsize=size, sharex="col", squeeze=False)
    for (left, right), share in zip(axes, shares, strict=True):
        for setting, some in df[df["share"] == share].groupby("setting", sort=False):
            style, accuracy = settings[setting], _by_batch(some, "accuracy")
            traces = some.groupby("batch")["trace"].first()
            for trace in traces:
                left.plot(trace, color=style["color"], lw=0.5, alpha=0.35)
            left.plot(plots.mean_trace(traces), label=setting, **style | {"marker": ""})
            place = list(settings).index(setting)
            right.plot(accuracy, [place] * len(accuracy), "o", color=style["color"], alpha=0.35)
            right.plot(accuracy.mean(), place, "D", color="black")
        left.set(ylabel="correlation in a batch", title=SHARES[share])
        right.set(xlim=(-0.03, 1.03), ylim=(len(settings) - 0.5, -0.5), title=SHARES[share])
        right.set_yticks(range(len(settings)), settings)
    axes[-1, 0].set_xlabel("step")
    axes[-1, 1].set_xlabel("accuracy of a batch")
    axes[0, 0].legend(title="term × weight")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The term raises the correlation, costs no accuracy; and ours: does the relation generalise?

    Each claim has a part for every sharing and term, at its strongest weight, whose texts are held
    without the term.
    """
    if df.empty:
        return []
    every = _comparisons(df)
    held = {k: pair for k, pair in every.items() if pair[1]["accuracy"].mean() >= MIN_ACCURACY}
    low = ", ".join(name for name in every if name not in held)
    left_out = f" (not judged, as accuracy is low without the term: {low})" if low else ""
    needed = f"fits with and without the term, of accuracy {MIN_ACCURACY:g} without it"

    def claim(says: str, measure: Callable, criterion: Criterion, **fields: str) -> Verdict:
        parts = [Part(measure(*pair), criterion, name) for name, pair in held.items()]
        fields |= {"experiment": "distillation", "unit": "batches"}
        fields["untested"] = "" if held else needed
        return verdict(df, *parts, claim=f"The relational term {says}{left_out}", **fields)

    rises = {"id": "B6.correlation", "published": "rises (figures)"}
    stays = {"id": "B6.accuracy", "published": "does not fall (figures)"}
    goes = {"id": "B6.generalises", "own": True}
    relates = "relates texts of different batches, too: gain in correlation"
    return [
        claim("raises the correlation in its batch: gain", agreement_gain, RISES, **rises),
        claim("costs no accuracy: change", accuracy_gain, STAYS, **stays),
        claim(relates, reach, GOES, **goes),
    ]


def _comparisons(df: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Rows at the strongest weight and without the term, of each sharing and term, by name."""
    pairs = {}
    for share, own in df.groupby("share", sort=False):
        plain = own[own["weight"] == 0]
        for _, some in own[own["weight"] > 0].groupby("term", sort=False):
            strongest = some[some["weight"] == some["weight"].max()]
            both = np.intersect1d(strongest["batch"], plain["batch"])
            if len(both):
                name = f"{strongest['setting'].iloc[0]}, {SHARES[share]}"
                pairs[name] = (_of(strongest, both), _of(plain, both))
    return pairs


def agreement_gain(strongest: pd.DataFrame, plain: pd.DataFrame) -> Interval:
    """The gain in correlation within a batch, over batches."""
    return mean_interval(_gain(strongest, plain, "agreement"))


def accuracy_gain(strongest: pd.DataFrame, plain: pd.DataFrame) -> Interval:
    """The change of a batch's mean accuracy, over batches.

    Means over several texts mostly differ from batch to batch. Where most are equal they say
    little on failures that are rare, and the interval takes in that these may reach the bounds.
    """
    gain = _gain(strongest, plain, "accuracy")
    interval = mean_interval(gain)
    return interval if interval.given else mean_interval(gain, bounds=(-1, 1))


def reach(strongest: pd.DataFrame, plain: pd.DataFrame | None = None) -> Interval:
    """The correlation between batches, minus that of `plain` if given, over batches."""
    names = strongest["batch"].unique()

    def value(chosen: np.ndarray) -> float:
        ours = between_batches(_of(strongest, names[chosen]))
        return ours if plain is None else ours - between_batches(_of(plain, names[chosen]))

    bound = 1 if plain is None else 2
    return statistic_interval(len(names), value, bounds=(-bound, bound))


def _gain(strongest: pd.DataFrame, plain: pd.DataFrame, column: str) -> pd.Series:
    """By batch: the mean of a column with the term minus without it."""
    return (_by_batch(strongest, column) - _by_batch(plain, column)).dropna()


def _of(df: pd.DataFrame, batches: np.ndarray) -> pd.DataFrame:
    return df[df["batch"].isin(batches)]


def _by_batch(df: pd.DataFrame, column: str) -> pd.Series:
    return df.groupby("batch")[column].mean()
