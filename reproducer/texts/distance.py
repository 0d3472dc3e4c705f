"""Distances between texts, and between vectors: what proto-tokens are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from reproducer.texts.sentence_encoder import EMBEDDED, encode


def cosine_distances(vectors: ArrayLike | Tensor) -> np.ndarray:
    """`1 − cos` between all rows of (n, d): (n, n) float64, zero on the diagonal."""
    unit = torch.nn.functional.normalize(torch.as_tensor(vectors, dtype=torch.float64), dim=1)
    distances = 1 - (unit @ unit.T)
    return distances.fill_diagonal_(0).clamp_(0, 2).numpy()


def tfidf_distances(texts: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Cosine distance of TF-IDF vectors over token ids, (n, n): how many tokens texts share.

    Document frequencies are those of `texts` themselves.
    """
    weights = TfidfVectorizer(analyzer=list).fit_transform(texts)
    return cosine_distances(weights.toarray())


def semantic_distances(texts: Sequence[str], encoder: str = EMBEDDED) -> np.ndarray:
    """Cosine distance of sentence embeddings, (n, n): how far apart texts are in meaning."""
    return cosine_distances(encode(list(texts), encoder))
