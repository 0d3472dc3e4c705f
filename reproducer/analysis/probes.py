"""Linear probes: how well a class can be read from vectors of words never seen in training.

Multinomial logistic regression on standardised features. Cross-validation leaves out one
group at a time; with groups of disjoint vocabulary, a probe cannot answer by remembering
content words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reproducer.analysis.clusters import require_classes
from reproducer.errors import ReproducerError

if TYPE_CHECKING:
    from scipy import sparse

SHUFFLES = 20


def probe_hits(
    features: np.ndarray | sparse.spmatrix, labels: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Whether the probe names the class of each text of a left-out group right: (n,) bool.

    Raises:
        ReproducerError: one group only, or a class with fewer than two members.
    """
    from scipy.sparse import issparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    require_classes(labels)
    if len(np.unique(groups)) < 2:
        raise ReproducerError(f"expected two or more groups, got {len(np.unique(groups))}")
    centred = not issparse(features)
    probe = make_pipeline(StandardScaler(with_mean=centred), LogisticRegression(max_iter=1000))
    guesses = cross_val_predict(probe, features, labels, groups=groups, cv=LeaveOneGroupOut())
    return guesses == labels


def shuffled_hits(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> np.ndarray:
    """What the same probe gets for labels shuffled within their groups: (n,) mean hits."""
    draw = np.random.default_rng(seed)
    hits = []
    for _ in range(SHUFFLES):
        mixed = np.array(labels)
        for group in np.unique(groups):
            inside = np.flatnonzero(groups == group)
            mixed[inside] = mixed[draw.permutation(inside)]
        hits.append(probe_hits(features, mixed, groups))
    return np.mean(hits, axis=0)


def bag_of_words(sentences: list[str]) -> sparse.spmatrix:
    """Which words and punctuation marks a sentence has, in no order: (n, vocabulary) 0/1."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(token_pattern=r"\w+|[^\w\s]", binary=True)
    return counter.fit_transform(sentences).astype(float)
