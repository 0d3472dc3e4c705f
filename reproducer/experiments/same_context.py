"""A8: is one context closer at equal distance of the texts? (Mezentsev & Oseledets, Fig. 5)

Continuations of one context resemble each other, in tokens and in meaning. The solutions of A7 are
compared again, with what that resemblance explains taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import cosine_distances
from reproducer.analysis.dyads import closer_interval
from reproducer.experiments import distances, plots
from reproducer.experiments.base import Protocol, with_interval
from reproducer.experiments.claims import Part, Verdict, verdict
from reproducer.experiments.distances import CLOSER
from reproducer.experiments.pairs import (
    DESIGN,
    DIFFERENT,
    GROUPS,
    SAME_CONTEXT,
    SAME_TEXT,
    common_designs,
    compared,
    paper_design,
    title,
)
from reproducer.models.card import model_card
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Spec
from reproducer.texts.distance import tfidf_distances
from reproducer.texts.sentence_encoder import EMBEDDED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reproducer.analysis.estimates import Interval
    from reproducer.texts.sources import Text

MEASURES = {"token_distance": "TF-IDF", "semantic_distance": "MiniLM"}
N_BINS = 8

PROTOCOL = Protocol(
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
    decode = model_card(params.model).tokenizer.decode
    sentences = tuple(decode(text.tokens) for text in texts)
    return SentenceVectorsSpec(model=EMBEDDED, sentences=sentences)


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
    pairs = pairs.dropna(subset=[measure])
    return closer_interval(pairs, *compared(pairs, SAME_CONTEXT, DIFFERENT), at_equal=measure)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """The chance for each design, as the pairs are and at equal distance of the texts."""
    cells = []
    for design, pairs in df.groupby(DESIGN) if len(df) else ():
        plain = closer_interval(pairs, *compared(pairs, SAME_CONTEXT, DIFFERENT))
        chances = {f"at equal {words}": at_equal(pairs, m) for m, words in MEASURES.items()}
        cells.append(
            dict(zip(DESIGN, design, strict=True))
            | {"contexts": plain.n, "as they are": with_interval(plain)}
            | {name: with_interval(chance) for name, chance in chances.items()}
        )
    names = ["contexts", "as they are", *(f"at equal {words}" for words in MEASURES.values())]
    return pd.DataFrame(cells, columns=[*DESIGN, *names]).set_index(DESIGN)


def figure(df: pd.DataFrame) -> Figure:
    """Distance of solutions against distance of texts: binned means, same context or not.

    A row of panels for each design, a column for each text distance. Bars are one standard error
    over contexts.
    """
    designs = list(df.groupby(DESIGN)) if len(df) else []
    n_rows = max(1, len(designs))
    size = (8.8, 3.2 * n_rows)
    drawn, axes = plots.figure(len(MEASURES), n_rows, squeeze=False, sharey="row", figsize=size)
    styles = plots.line_styles(GROUPS)
    for panels, ((share, start, role), pairs) in zip(axes, designs, strict=False):
        masks = compared(pairs, SAME_CONTEXT, DIFFERENT)
        for axis, (measure, words) in zip(panels, MEASURES.items(), strict=True):
            for name, mask in zip((SAME_CONTEXT, DIFFERENT), masks, strict=True):
                bins = binned(pairs[mask].dropna(subset=[measure]), measure)
                bars = styles[name] | {"label": name, "capsize": 2}
                axis.errorbar(bins["centre"], bins["mean"], bins["error"], **bars)
            axis.set(xlabel=f"{words} distance of the texts", title=title(share, start))
        panels[0].set_ylabel(f"cosine distance between {role}")
    plots.legend(axes[0, 0])
    return drawn


def binned(pairs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Means of `distance` in equal bins of `measure` over 0 … its maximum: centre, mean, error.

    The mean is over contexts' means, `error` its standard error; a pair counts for both of its
    contexts.
    """
    top = max(float(pairs[measure].max()), 1e-9) if len(pairs) else 1.0
    edges = np.linspace(0, top, N_BINS + 1)
    place = np.clip(np.digitize(pairs[measure], edges) - 1, 0, N_BINS - 1)
    placed = pairs.assign(bin=place)
    between = placed["context_a"] != placed["context_b"]
    second = placed[between].assign(context_a=placed["context_b"])
    means = pd.concat([placed, second]).groupby(["bin", "context_a"])["distance"].mean()
    bins = means.groupby("bin").agg(["mean", "sem"]).fillna({"sem": 0.0})
    centre = (edges[:-1] + edges[1:])[bins.index.astype(int)] / 2
    return bins.rename(columns={"sem": "error"}).assign(centre=centre)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Closer at equal distance of the texts: the paper's claim, and our own on a common start."""
    if df.empty:
        return []
    pairs, lacking = paper_design(df)
    papers = [
        verdict(
            df,
            (at_equal(pairs, measure), CLOSER),
            id=f"A8.{measure.replace('_', '-')}",
            experiment="same_context",
            claim=f"At equal {words} distance of the texts, solutions of one context are closer: "
            "chance that a pair of one context is closer than one of different contexts (e)",
            published="shown as binned means; no number",
            unit="contexts",
            untested=lacking,
        )
        for measure, words in MEASURES.items()
    ]
    ours = [
        verdict(
            df,
            *(
                Part(at_equal(pairs, m), CLOSER, f"at equal {words}")
                for m, words in MEASURES.items()
            ),
            id=f"A8.common-start-{label}",
            experiment="same_context",
            claim="From a common start, fits of one context's texts move alike also at equal "
            "distance of the texts: chance that a pair's moves are closer than those of a pair of "
            f"different contexts ({label})",
            unit="contexts",
            own=True,
        )
        for label, pairs in common_designs(df)
    ]
    return papers + ours
