"""A7, A8: how far apart are solutions? (Mezentsev & Oseledets, Figs 4-6)

Solutions of one text, of texts that continue one context, and of texts from different
contexts; then whether those of one context are closer than their texts' distance explains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.errors import ReproducerError
from reproducer.experiments.base import default_arrangement, results_of
from reproducer.experiments.distances_claims import DIFFERENT, SAME_CONTEXT, SAME_TEXT, claims
from reproducer.experiments.distances_views import (
    binned_figure,
    effect_table,
    figure,
    note,
    regression_table,
    table,
)
from reproducer.experiments.profiles import ExperimentParams
from reproducer.readings.continuations import ContinuationSpec, context_of, contexts, texts_of
from reproducer.results.run import cached_lm, stored
from reproducer.results.solutions import Point, points_of
from reproducer.results.specs import FitSpec, Spec
from reproducer.solver.recipes import recipe
from reproducer.texts.distance import cosine_distances, semantic_distances, tfidf_distances
from reproducer.texts.sources import Text

__all__ = [
    "Params",
    "binned_figure",
    "claims",
    "collect",
    "effect_table",
    "figure",
    "note",
    "regression_table",
    "specs",
    "table",
]


class Params(ExperimentParams):
    """`n_texts` counts contexts here.

    Of each context, `n_continuations` sampled continuations of `n_tokens` tokens: one solution
    of each, and `n_seeds` of the last. `shares`: `m` shared by all solutions, or own. A
    solution whose accuracy is below `min_accuracy` is left out and counted.
    """

    n_tokens: int = Field(64, ge=1)
    n_continuations: int = Field(10, ge=2)
    n_seeds: int = Field(10, ge=2)
    context_tokens: int = Field(128, ge=1)
    shares: tuple[Literal["m", "none"], ...] = Field(("m", "none"), min_length=1)
    arrangement: str | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)


def sampling(params: Params) -> list[ContinuationSpec]:
    """The sampling of each context's continuations."""
    lm = cached_lm(params.model)
    return [
        ContinuationSpec(
            model=params.model,
            context=context,
            n_continuations=params.n_continuations,
            n_tokens=params.n_tokens,
        )
        for context in contexts(params.source, lm, params.n_texts, params.context_tokens)
    ]


def specs(params: Params) -> list[Spec]:
    """The sampling, and once that is stored, the fits of what it gave."""
    first = sampling(params)
    sampled = stored(first)
    whole = len(sampled) == len(first)
    return [*first, *(fits(params, [texts_of(r) for r in sampled]) if whole else [])]


def fits(params: Params, continuations: list[list[Text]]) -> list[FitSpec]:
    """One fit of everything where `m` is shared; one for each solution where it is not."""
    chosen = {
        "model": params.model,
        "arrangement": default_arrangement(params.arrangement, cached_lm(params.model)),
        "recipe": recipe(params.recipe, max_steps=params.max_steps),
    }
    wanted = _seeds_by_text(params, continuations)
    found = []
    if "m" in params.shares:
        repeated = tuple(text for text, n_seeds in wanted for _ in range(n_seeds))
        found.append(FitSpec(texts=repeated, share="m", seed=params.seed, **chosen))
    if "none" in params.shares:
        found += [
            FitSpec(texts=(text,), seed=params.seed + seed, **chosen)
            for text, n_seeds in wanted
            for seed in range(n_seeds)
        ]
    return found


def _seeds_by_text(params: Params, continuations: list[list[Text]]) -> list[tuple[Text, int]]:
    """Each text and its number of solutions; a text that was sampled twice counts once.

    Fitted twice from one seed it would give one solution at distance zero from itself.
    """
    wanted: dict[tuple[int, ...], tuple[Text, int]] = {}
    for texts in continuations:
        wanted.setdefault(texts[-1].tokens, (texts[-1], params.n_seeds))
    for texts in continuations:
        for text in texts[:-1]:
            wanted.setdefault(text.tokens, (text, 1))
    return list(wanted.values())


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each pair of solutions and each kind of proto-token.

    Columns: model, profile, share, role (`e`, `m`), group, context_a, context_b, distance
    (cosine), token_distance (TF-IDF), semantic_distance (MiniLM), same_context (0 or 1),
    counts (solutions used and left out, in words), n_tokens, recipe, device.

    Raises:
        ReproducerError: no two solutions are accurate enough.
    """
    sampled = results_of(sampling(params), compute_missing)
    if len(sampled) < params.n_texts:
        return pd.DataFrame()
    results = results_of(fits(params, [texts_of(r) for r in sampled]), compute_missing)
    by_share = {
        share: points_of(r for r in results if r.spec["share"] == share) for share in params.shares
    }
    frames = [f for points in by_share.values() for f in _pair_frames(points, params)]
    if not frames:
        if not compute_missing:
            return pd.DataFrame()
        raise ReproducerError(
            f"expected at least 2 solutions of accuracy {params.min_accuracy:g}, got "
            f"{_counts(by_share, params)}; allow more steps or fit fewer tokens"
        )
    return pd.concat(frames, ignore_index=True).assign(
        profile=params.profile,
        model=params.model,
        counts=_counts(by_share, params),
        n_tokens=params.n_tokens,
        recipe=params.recipe,
        device=results[0].provenance["device"],
    )


def _solved(points: list[Point], params: Params) -> list[Point]:
    return [point for point in points if point.accuracy >= params.min_accuracy]


def _counts(by_share: dict[str, list[Point]], params: Params) -> str:
    """How many solutions of each kind are used, and how many fits are left out as unsolved."""
    parts = []
    for share, points in by_share.items():
        used = len(_solved(points, params))
        kind = "shared m" if share == "m" else "own m"
        parts.append(f"{kind}: {used} solutions, {len(points) - used} unsolved fits left out")
    return "; ".join(parts)


def _pair_frames(points: list[Point], params: Params) -> Iterable[pd.DataFrame]:
    """The pairs of solutions, a frame for each kind of proto-token that is not shared."""
    kept = _solved(points, params)
    if len(kept) < 2:
        return
    share = kept[0].fit.share
    a, b = np.triu_indices(len(kept), k=1)
    pairs = _text_pairs([p.text for p in kept], params.model)
    for row, role in enumerate("em" if share == "none" else "e"):
        distance = cosine_distances(np.stack([p.rows[row].numpy() for p in kept]))
        yield pairs.assign(share=share, role=role, distance=distance[a, b])


def _text_pairs(texts: list[Text], model: str) -> pd.DataFrame:
    """Group, contexts and distances of the texts of all pairs i < j."""
    unique, number = {}, []
    for text in texts:
        number.append(unique.setdefault(text.tokens, len(unique)))
    decode = cached_lm(model).tokenizer.decode
    token = tfidf_distances(list(unique))
    semantic = semantic_distances([decode(tokens) for tokens in unique])
    number, context = np.array(number), np.array([context_of(text) for text in texts])
    a, b = np.triu_indices(len(texts), k=1)
    same_text, same_context = number[a] == number[b], context[a] == context[b]
    return pd.DataFrame(
        {
            "group": np.select([same_text, same_context], [SAME_TEXT, SAME_CONTEXT], DIFFERENT),
            "context_a": context[a],
            "context_b": context[b],
            "same_context": same_context.astype(int),
            "token_distance": token[number[a], number[b]],
            "semantic_distance": semantic[number[a], number[b]],
        }
    )
