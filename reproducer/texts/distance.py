"""Distances between texts: how many tokens they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reproducer.analysis.clusters import cosine_distances


def tfidf_distances(texts: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Cosine distance of TF-IDF vectors over token ids, (n, n).

    Document frequencies are those of `texts` themselves.
    """
    # Imported late: it takes a second.
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(analyzer=list).fit_transform(texts)
    return cosine_distances(weights.toarray())
