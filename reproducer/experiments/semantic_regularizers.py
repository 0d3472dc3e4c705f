"""B5, B6: can `e` be made to mean something? (Bondarenko et al., Figs 7–13)

B5 anchors every `e` to the sentence embedding of its text, `1 − cos(e, t)`; B6 pulls the
cosines between the `e` of a batch towards those between the embeddings. The paper finds that
the anchor costs reconstruction and that the relational term does not. We add whether the
relation also holds between texts that never shared a batch.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field

from reproducer import plots
from reproducer.compute import cached_lm
from reproducer.corpora import Text, load_texts
from reproducer.encoder import EMBEDDED
from reproducer.errors import ReproducerError
from reproducer.experiments.common import default_arrangement, fit_frame, results_of, tested
from reproducer.mantel import bootstrap_correlations, interval, pair_correlation
from reproducer.penalties import AGREEMENT, cosine_matrix
from reproducer.problems import Penalty
from reproducer.profiles import ExperimentParams
from reproducer.recipes import recipe
from reproducer.regularizer_claims import MIN_BATCHES, regularizer_claims
from reproducer.specs import FitSpec
from reproducer.store import Result
from reproducer.teachers import teacher_vectors
from reproducer.vectors import with_vectors
from reproducer.verdicts import Verdict


class Relation(BaseModel):
    """B6: every term at every weight, own and shared `m`, on `n_batches` batches of texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    terms: tuple[Literal["mse", "huber"], ...] = Field(("mse", "huber"), min_length=1)
    weights: tuple[float, ...] = Field((0.0, 1.0, 10.0), min_length=1)
    shares: tuple[Literal["none", "m"], ...] = Field(("none", "m"), min_length=1)
    n_batches: int = Field(8, ge=1)
    batch_size: int = 6
    n_tokens: int = Field(32, ge=1)


class Params(ExperimentParams):
    """B5: `lengths`, `weights`, `starts` (of `e`: at the teacher, or normal), `n_texts` texts.

    B6: `relation`. The weight 0 is the control of both.
    """

    teacher: str = EMBEDDED
    lengths: tuple[int, ...] = Field((8, 16, 32, 64), min_length=1)
    weights: tuple[float, ...] = Field((0.0, 0.02, 0.1, 0.5), min_length=1)
    starts: tuple[Literal["teacher", "normal"], ...] = Field(("teacher", "normal"), min_length=1)
    relation: Relation = Relation()
    arrangement: str | None = None
    max_steps: int = Field(2000, ge=1)
    stop_accuracy: float = Field(0.9, gt=0, le=1)


def specs(params: Params) -> list[FitSpec]:
    """Single texts under the anchor, then batches under a relational term; all with traces."""
    return [*anchor_specs(params), *relational_specs(params)]


def anchor_specs(params: Params) -> list[FitSpec]:
    """One fit for each length, text, start and weight."""
    lm = cached_lm(params.model)
    made = []
    for n_tokens in params.lengths:
        texts = _texts(params, params.n_texts, n_tokens)
        vectors = teacher_vectors(_sentences(params, texts), params.teacher, lm.d_model)
        for text, vector in zip(texts, vectors.tolist(), strict=True):
            for start in params.starts:
                for weight in params.weights:
                    penalty = Penalty(
                        term="anchor",
                        weight=weight,
                        teacher=(tuple(vector),),
                        start_at_teacher=start == "teacher",
                    )
                    made.append(_fit(params, (text,), penalty))
    return made


def relational_specs(params: Params) -> list[FitSpec]:
    """One fit for each batch, sharing, term and weight; the weight 0 once.

    Raises:
        ReproducerError: a batch too small for a correlation between its pairs.
    """
    relation, size = params.relation, params.relation.batch_size
    if size < 3:
        raise ReproducerError(
            f"expected a batch of 3 or more texts, whose pairs can correlate, got batch_size {size}"
        )
    texts = _texts(params, relation.n_batches * size, relation.n_tokens)
    vectors = teacher_vectors(_sentences(params, texts), params.teacher).tolist()
    settings = [
        (term, weight)
        for term in relation.terms
        for weight in relation.weights
        if weight or term == relation.terms[0]
    ]
    made = []
    for first in range(0, len(texts), size):
        batch = slice(first, first + size)
        teacher = tuple(map(tuple, vectors[batch]))
        for share in relation.shares:
            for term, weight in settings:
                penalty = Penalty(term=term, weight=weight, teacher=teacher)
                made.append(_fit(params, tuple(texts[batch]), penalty, share))
    return made


def _texts(params: Params, n_texts: int, n_tokens: int) -> list[Text]:
    lm = cached_lm(params.model)
    found = load_texts(params.source, lm, n_texts, n_tokens)
    return [text.prefix(n_tokens) for text in found]


def _sentences(params: Params, texts: list[Text]) -> list[str]:
    """What the teacher reads: the fitted tokens as a string."""
    decode = cached_lm(params.model).tokenizer.decode
    return [decode(text.tokens) for text in texts]


def _fit(params: Params, texts: tuple[Text, ...], penalty: Penalty, share: str = "none") -> FitSpec:
    return FitSpec(
        model=params.model,
        arrangement=default_arrangement(params.arrangement, cached_lm(params.model)),
        texts=texts,
        share=share,
        seed=params.seed,
        recipe=recipe(params.recipe, params.max_steps, params.stop_accuracy),
        penalty=penalty,
        trace=True,
    )


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row a text: `fit_frame`, vectors, the penalty, and its agreement with the teacher.

    `agreement` is that of the reported state, `trace` that of every step: the cosine with the
    teacher (term `anchor`), or the correlation of the batch's cosines with the teacher's.
    """
    results = results_of(specs(params), compute_missing)
    frame = with_vectors(fit_frame(results, params), results)
    if frame.empty:
        return frame
    extra = pd.DataFrame([row for result in results for row in _penalty_rows(result)])
    return frame.join(extra)


def _penalty_rows(result: Result) -> list[dict]:
    spec = FitSpec(**result.spec)
    penalty = spec.penalty
    teacher = torch.tensor(penalty.teacher)
    e = result.arrays["rows"][: len(teacher)]
    shared = {
        "term": penalty.term if penalty.weight or penalty.term == "anchor" else "none",
        "weight": penalty.weight,
        "start": "teacher" if penalty.start_at_teacher else "normal",
        "agreement": AGREEMENT[penalty.term](e, teacher).item(),
        "trace": result.arrays["trace_agreement"].double().numpy(),
        "batch": spec.texts[0].id,
    }
    return [{**shared, "teacher": vector.double().numpy()} for vector in teacher]


def anchored(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of B5."""
    return df[df["term"] == "anchor"]


def related(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of B6, with the setting's name, e.g. `mse × 10`."""
    some = df[df["term"] != "anchor"]
    names = some["term"] + some["weight"].map(lambda w: f" × {w:g}" if w else "")
    return some.assign(setting=names)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """B5: mean accuracy by length, and the final cosine with the teacher, by start and weight."""
    some = anchored(df)
    accuracy = some.pivot_table(index=["start", "weight"], columns="n_tokens", values="accuracy")
    accuracy.columns = [f"accuracy, N = {n}" for n in accuracy.columns]
    cosine = some.groupby(["start", "weight"])["agreement"].mean()
    return accuracy.assign(**{"cosine with the teacher": cosine}).round(3)


def relational_table(df: pd.DataFrame) -> pd.DataFrame:
    """B6: accuracy, and correlation with the teacher's cosines within and between batches.

    Within: mean over batches. Between: over pairs of texts from different batches, with a
    95 % interval over batches where there are enough of them for one.
    """
    rows = {}
    for (share, setting), some in related(df).groupby(["share", "setting"], sort=False):
        within = some.groupby("batch")["agreement"].first().mean()
        between = between_batches(some)
        low, high = interval(between[1:])
        reach = "" if np.isnan(between[0]) else f"{between[0]:.2f}"
        if some["batch"].nunique() >= MIN_BATCHES:
            reach += f" ({low:.2f} … {high:.2f})"
        rows["own m" if share == "none" else "shared m", setting] = {
            "accuracy": f"{some['accuracy'].mean():.2f}",
            "correlation within batches": f"{within:.2f}",
            "between batches": reach,
        }
    return pd.DataFrame(rows).T.rename_axis(["m", "term"])


def between_batches(some: pd.DataFrame) -> np.ndarray:
    """Correlation over pairs from different batches, then its bootstrap draws over batches."""
    batches = some["batch"].to_numpy()
    apart = batches[:, None] != batches
    ours, theirs = (
        cosine_matrix(torch.tensor(np.stack(some[column].to_list()))).numpy()
        for column in ("e", "teacher")
    )
    if not apart.any():
        return np.full(2, np.nan)
    draws = bootstrap_correlations(ours, theirs, batches, apart)
    return np.concatenate([[pair_correlation(ours, theirs, apart)], draws])


def figure(df: pd.DataFrame) -> Figure:
    """B5: accuracy against length, cosine against step, and one against the other."""
    some = anchored(df)
    made, axes = plots.figure(3, figsize=(13, 3.8))
    starts = dict(zip(some["start"].unique(), ("-", ":"), strict=False))
    for weight, style in plots.line_styles(sorted(some["weight"].unique())).items():
        for start, dash in starts.items():
            cell = some[(some["weight"] == weight) & (some["start"] == start)]
            look = style | {"linestyle": dash, "label": f"{weight:g}, {start}"}
            by_length = cell.groupby("n_tokens")["accuracy"].mean()
            axes[0].plot(by_length.index, by_length, **look)
            axes[1].plot(_mean_trace(cell["trace"]), **look | {"marker": ""})
            axes[2].scatter(
                cell["agreement"].mean(),
                cell["accuracy"].mean(),
                color=style["color"],
                marker=style["marker"],
                facecolor=style["color"] if dash == "-" else "none",
                label=f"{weight:g}, {start}",
            )
    plots.powers_axis(axes[0], some["n_tokens"])
    axes[0].set(xlabel="tokens N", ylabel="accuracy", ylim=(-0.03, 1.05))
    axes[1].set(xlabel="step", ylabel="cosine of e and teacher")
    axes[2].set(xlabel="cosine of e and teacher", ylabel="accuracy", ylim=(-0.03, 1.05))
    axes[2].legend(title="weight, start of e", loc="upper left", bbox_to_anchor=(1, 1))
    return made


def relational_figure(df: pd.DataFrame) -> Figure:
    """B6: correlation with the teacher's cosines by step, and the distribution of accuracy."""
    some = related(df)
    shares = some["share"].unique()
    made, axes = plots.figure(2, len(shares), figsize=(10, 3.6 * len(shares)), squeeze=False)
    for row, share in zip(axes, shares, strict=True):
        own = some[some["share"] == share]
        styles = plots.line_styles(own["setting"].unique())
        for place, (setting, style) in enumerate(styles.items()):
            cell = own[own["setting"] == setting]
            traces = cell.groupby("batch")["trace"].first()
            for trace in traces:
                row[0].plot(trace, color=style["color"], lw=0.5, alpha=0.35)
            row[0].plot(_mean_trace(traces), label=setting, **style | {"marker": ""})
            row[1].boxplot(cell["accuracy"], positions=[place], widths=0.6)
        name = "own m" if share == "none" else "shared m"
        row[0].set(xlabel="step", ylabel="correlation in a batch", title=name)
        row[1].set(ylabel="accuracy of a text", ylim=(-0.03, 1.05), title=name)
        row[1].set_xticks(range(len(styles)), styles, rotation=20)
    axes[0, 0].legend(title="term × weight")
    return made


def _mean_trace(traces: pd.Series) -> np.ndarray:
    """Mean over fits by step; a fit that stopped keeps its last value."""
    longest = max(len(trace) for trace in traces)
    return np.mean([np.pad(t, (0, longest - len(t)), mode="edge") for t in traces], axis=0)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The verdicts on B5 and B6."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    return regularizer_claims(anchored(df), related(df), between_batches)
