"""B5, B6: can `e` be made to mean something? (Bondarenko et al., Figs 7–13)

B5 anchors every `e` to the sentence embedding of its text, `1 − cos(e, t)`; B6 pulls the
cosines between the `e` of a batch towards those between the embeddings. The paper finds that
the anchor costs reconstruction and that the relational term does not. We add whether the
relation also holds between texts that never shared a batch.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field

from reproducer.errors import ReproducerError
from reproducer.experiments.base import default_arrangement, fit_frame, results_of, tested
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.semantic_regularizers_claims import regularizer_claims
from reproducer.experiments.semantic_regularizers_views import (
    anchored,
    between_batches,
    figure,
    related,
    relational_figure,
    relational_table,
    table,
)
from reproducer.experiments.verdicts import Verdict
from reproducer.results.run import cached_lm
from reproducer.results.specs import FitSpec
from reproducer.results.store import Result
from reproducer.results.vectors import with_vectors
from reproducer.solver.penalties import AGREEMENT
from reproducer.solver.problem import Penalty
from reproducer.solver.recipes import recipe
from reproducer.texts.sentence_encoder import EMBEDDED
from reproducer.texts.sources import Text, load_texts
from reproducer.texts.teachers import teacher_vectors

__all__ = [
    "Params",
    "Relation",
    "claims",
    "collect",
    "figure",
    "relational_figure",
    "relational_table",
    "specs",
    "table",
]


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


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The verdicts on B5 and B6."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    return regularizer_claims(anchored(df), related(df), between_batches)
