"""B6: can the `e` of several texts take over how alike their meanings are? (Bondarenko et al.)

Texts are fitted in batches, and a term of the loss pulls the cosines between the `e` of a batch
towards those between their sentence embeddings (Figs 11–13). The paper finds that the correlation
of the two rises and that accuracy does not fall. We add whether the relation also holds between
texts that never shared a batch: whether `e` learns meaning, or where its five neighbours are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.agreement import relational_correlation
from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import mean_interval, statistic_interval
from reproducer.experiments import plots
from reproducer.experiments.base import (
    ArrangementName,
    Protocol,
    TeacherName,
    decoded,
    fit,
    fit_frame,
    number,
    texts_of,
    with_interval,
)
from reproducer.experiments.claims import NOT_IN_PAPERS, Part, Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
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


class Params(ExperimentParams):
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
    arrangement: ArrangementName | None = None
    max_steps: int = Field(2000, ge=1)
    stop_accuracy: float = Field(0.9, gt=0, le=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits, and what the teacher makes of each batch."""
    wanted = fits(params)
    return [*(spec.penalty.teacher for spec in wanted), *wanted]


def fits(params: Params) -> list[FitSpec]:
    """One fit for each batch, sharing, term and weight, with traces."""
    size = params.batch_size
    texts = texts_of(params, params.n_tokens, params.n_batches * size)
    settings = [(term, weight) for term in params.terms for weight in params.weights if weight]
    if 0 in params.weights:
        settings = [(params.terms[0], 0.0), *settings]
    wanted = []
    for first in range(0, len(texts), size):
        batch = texts[first : first + size]
        teacher = SentenceVectorsSpec(model=params.teacher, sentences=decoded(params, batch))
        for share in params.shares:
            for term, weight in settings:
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
    cells = {}
    for (share, setting), some in df.groupby(["share", "setting"], sort=False) if len(df) else ():
        cells[SHARES[share], setting] = {
            "accuracy": number(some["accuracy"].mean()),
            "correlation within batches": number(_by_batch(some, "agreement").mean()),
            "between batches": with_interval(reach(some)),
        }
    return pd.DataFrame(cells).T.rename_axis(["m", "term"]) if cells else pd.DataFrame()


def figure(df: pd.DataFrame) -> Figure:
    """Correlation with the teacher's cosines by step, and the distribution of accuracy."""
    shares = list(df["share"].unique()) if len(df) else []
    n_rows = max(1, len(shares))
    drawn, axes = plots.figure(2, n_rows, figsize=(10, 3.6 * n_rows), squeeze=False)
    for (left, right), share in zip(axes, shares, strict=False):
        own = df[df["share"] == share]
        styles = plots.line_styles(own["setting"].unique())
        for place, (setting, style) in enumerate(styles.items()):
            cell = own[own["setting"] == setting]
            traces = cell.groupby("batch")["trace"].first()
            for trace in traces:
                left.plot(trace, color=style["color"], lw=0.5, alpha=0.35)
            left.plot(plots.mean_trace(traces), label=setting, **style | {"marker": ""})
            right.boxplot(cell["accuracy"], positions=[place], widths=0.6)
        name = SHARES[share]
        left.set(xlabel="step", ylabel="correlation in a batch", title=name)
        right.set(ylabel="accuracy of a text", ylim=(-0.03, 1.05), title=name)
        right.set_xticks(range(len(styles)), styles, rotation=20)
        left.legend(title="term × weight")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The term raises the correlation, costs no accuracy; and ours: does the relation generalise?

    Each claim has a part for every sharing and term, at its strongest weight, whose texts are held
    without the term.
    """
    if df.empty:
        return []
    every = list(_comparisons(df))
    held = [c for c in every if c[2]["accuracy"].mean() >= MIN_ACCURACY]
    needs = f"fits with and without the term, of accuracy {MIN_ACCURACY:g} without it"
    names = {name for name, *_ in held}
    left_out = ", ".join(name for name, *_ in every if name not in names)
    left_out = left_out and f" (not judged, as accuracy is low without the term: {left_out})"
    return [
        verdict(
            df,
            *(Part(interval(*c[1:]), criterion, c[0]) for c in held),
            untested="" if held else needs,
            own=not published,
            published=f"{published} (figures)" if published else NOT_IN_PAPERS,
            id=f"B6.{name}",
            claim=f"The relational term {claim}{left_out}",
            experiment="distillation",
            unit="batches",
        )
        for name, claim, published, interval, criterion in _CLAIMS
    ]


def _comparisons(df: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Name, rows at the strongest weight and without the term, of each sharing and term."""
    for share, own in df.groupby("share", sort=False):
        plain = own[own["weight"] == 0]
        for _, some in own[own["weight"] > 0].groupby("term", sort=False):
            strongest = some[some["weight"] == some["weight"].max()]
            both = np.intersect1d(strongest["batch"], plain["batch"])
            if len(both):
                name = f"{strongest['setting'].iloc[0]}, {SHARES[share]}"
                yield name, _of(strongest, both), _of(plain, both)


def _gain(strongest: pd.DataFrame, plain: pd.DataFrame, column: str) -> pd.Series:
    """By batch: the mean of a column with the term minus without it."""
    return (_by_batch(strongest, column) - _by_batch(plain, column)).dropna()


def _closer(strongest: pd.DataFrame, plain: pd.DataFrame) -> Interval:
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


def _of(df: pd.DataFrame, batches: np.ndarray) -> pd.DataFrame:
    return df[df["batch"].isin(batches)]


def _by_batch(df: pd.DataFrame, column: str) -> pd.Series:
    return df.groupby("batch")[column].mean()


_CLAIMS = (
    ("correlation", "raises the correlation in its batch: gain", "rises", _closer, RISES),
    ("accuracy", "costs no accuracy: change", "does not fall", accuracy_gain, STAYS),
    (
        "generalises",
        "relates texts of different batches, too: gain in correlation",
        "",
        reach,
        GOES,
    ),
)
