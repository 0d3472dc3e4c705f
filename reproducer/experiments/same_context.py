"""A8: is one context closer at equal distance of the texts? (Mezentsev & Oseledets, Fig. 5)

The solutions of A7 again, with what the likeness of their texts explains taken out.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import cosine_distances
from reproducer.analysis.estimates import Interval
from reproducer.experiments import base, distances, plots
from reproducer.experiments.cells import table_of, with_interval
from reproducer.experiments.claims import Part, Verdict, verdict
from reproducer.experiments.distances import CLOSER
from reproducer.experiments.pairs import (
    DESIGN,
    DIFFERENT,
    GROUPS,
    SAME_CONTEXT,
    SAME_TEXT,
    closer,
    common_designs,
    compared,
    paper_design,
    title,
)
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Spec
from reproducer.texts.distance import tfidf_distances
from reproducer.texts.sentence_encoder import EMBEDDED
from reproducer.texts.sources import Text

MEASURES = {"token_distance": "TF-IDF", "semantic_distance": "MiniLM"}
N_BINS = 8
_claim = partial(verdict, experiment="same_context", unit="contexts")

PROTOCOL = base.Protocol(
    paper="Binned means of the distance between solutions against the distance of their texts in "
    "tokens and in meaning, for pairs of one context and of different ones.",
    ours="The same figure. For the verdict the linear effect of the texts' distance is taken out, "
    "and the chance that a pair of one context is closer than one of different contexts is "
    "estimated from what remains, with an interval over contexts.",
    why="A figure has no interval, and bins hold few pairs of one context.",
)


class Params(distances.Params):
    """As for A7, whose fits serve here too."""


def specs(params: Params, known: Known) -> list[Spec]:
    """The specs of A7, and, once the texts are sampled, the sentence vectors of them."""
    wanted = [text for text, _ in distances.texts(params, known)]
    meanings = [sentence_vectors(params, wanted)] if wanted else []
    return [*distances.specs(params, known), *meanings]


def sentence_vectors(params: Params, texts: list[Text]) -> SentenceVectorsSpec:
    """The sentence vectors of the fitted texts, in their order."""
    return SentenceVectorsSpec(model=EMBEDDED, sentences=base.decoded(params, texts))


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each pair of solutions of different texts, with the distances of the texts.

    Columns: those of `reproducer.experiments.distances.rows`; token_distance (TF-IDF) and
    semantic_distance (MiniLM; NaN until the sentence vectors are known).
    """
    df = distances.rows(params, known)
    if df.empty:
        return df
    df = df[df["group"] != SAME_TEXT].reset_index(drop=True)
    texts = [text for text, _ in distances.texts(params, known)]
    number = {text.id: i for i, text in enumerate(texts)}
    a, b = (df[column].map(number) for column in ("text_a", "text_b"))
    meanings = known.get(sentence_vectors(params, texts))
    tokens = tfidf_distances([text.tokens for text in texts])
    semantic = np.full_like(tokens, np.nan)
    if meanings is not None:
        semantic = cosine_distances(meanings.arrays["vectors"])
    return df.assign(token_distance=tokens[a, b], semantic_distance=semantic[a, b])


def at_equal(pairs: pd.DataFrame, measure: str) -> Interval:
    """The chance that a pair of one context is closer, at equal `measure` of the texts."""
    return closer(pairs.dropna(subset=[measure]), at_equal=measure)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """The chance for each design, as the pairs are and at equal distance of the texts."""
    cells = {}
    for design, pairs in df.groupby(DESIGN) if len(df) else ():
        plain = closer(pairs)
        cells[design] = {"contexts": plain.n, "as they are": with_interval(plain)}
        for measure, words in MEASURES.items():
            cells[design][f"at equal {words}"] = with_interval(at_equal(pairs, measure))
    return table_of(cells, DESIGN)


def figure(df: pd.DataFrame) -> plots.Figure:
    """Distance of solutions against distance of texts: binned means, same context or not.

    A row of panels for each design, a column for each text distance. Bars are one standard error
    over contexts; a mark without a bar is a single context.
    """
    designs = list(df.groupby(DESIGN)) if len(df) else []
    drawn, axes = plots.panels(max(1, len(designs)) * len(MEASURES), height=2.4, sharey="row")
    styles = plots.line_styles(GROUPS)
    places = ((*design, measure) for design in designs for measure in MEASURES.items())
    for axis, ((share, start, role), pairs, (measure, words)) in zip(axes, places, strict=False):
        masks = compared(pairs, SAME_CONTEXT, DIFFERENT)
        for name, mask in zip((SAME_CONTEXT, DIFFERENT), masks, strict=True):
            bins = binned(pairs[mask].dropna(subset=[measure]), measure)
            look = styles[name] | {"label": name, "capsize": 3, "elinewidth": 1}
            axis.errorbar(bins["centre"], bins["mean"], bins["error"], **look)
        axis.set(xlabel=f"{words} distance of texts", title=f"{role}, {title(share, start)}")
    for axis in axes[:: len(MEASURES)]:
        axis.set_ylabel("cosine distance")
    plots.legend(*axes)
    return drawn


def binned(pairs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Means of `distance` in equal bins of `measure` over 0 … its maximum: centre, mean, error.

    The mean is over contexts' means, `error` its standard error, NaN for a single context; a pair
    counts for both of its contexts.
    """
    top = max(float(pairs[measure].max()), 1e-9) if len(pairs) else 1.0
    edges = np.linspace(0, top, N_BINS + 1)
    place = np.clip(np.digitize(pairs[measure], edges) - 1, 0, N_BINS - 1)
    placed = pairs.assign(bin=place)
    between = placed["context_a"] != placed["context_b"]
    second = placed[between].assign(context_a=placed["context_b"])
    means = pd.concat([placed, second]).groupby(["bin", "context_a"])["distance"].mean()
    bins = means.groupby("bin").agg(["mean", "sem"])
    centre = (edges[:-1] + edges[1:])[bins.index.astype(int)] / 2
    return bins.rename(columns={"sem": "error"}).assign(centre=centre)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Closer at equal distance of the texts: the paper's claim, and our own on a common start."""
    if df.empty:
        return []
    pairs, lacking = paper_design(df)
    papers = [
        _claim(
            df,
            (at_equal(pairs, measure), CLOSER),
            id=f"A8.{measure.replace('_', '-')}",
            claim=f"At equal {words} distance of the texts, solutions of one context are closer: "
            "chance that a pair of one context is closer than one of different contexts (e)",
            published="shown as binned means; no number",
            untested=lacking,
        )
        for measure, words in MEASURES.items()
    ]
    ours = [
        _claim(
            df,
            *(
                Part(at_equal(pairs, m), CLOSER, f"at equal {words}")
                for m, words in MEASURES.items()
            ),
            id=f"A8.common-start-{label}",
            claim="From a common start, fits of one context's texts move alike also at equal "
            "distance of the texts: chance that a pair's moves are closer than those of a pair of "
            f"different contexts ({label})",
            own=True,
        )
        for label, pairs in common_designs(df)
    ]
    return papers + ours
