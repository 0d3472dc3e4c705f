"""How a set of vectors clusters: silhouettes, neighbours, permutation tests, t-SNE maps.

Distances are cosine distances. Silhouettes and neighbours take a distance matrix and labels
and give one value a text, so that intervals can be taken over texts or groups of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reproducer.errors import ReproducerError

PERMUTATIONS = 999


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (n, d) scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def cosine_distances(vectors: np.ndarray) -> np.ndarray:
    """`1 − cos` between all rows: (n, d) → (n, n), float64, zero on the diagonal."""
    rows = unit(np.asarray(vectors, dtype=float))
    distances = np.clip(1 - rows @ rows.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def require_classes(labels: np.ndarray) -> None:
    """Raise unless there are two or more classes, each with two or more members."""
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise ReproducerError(f"expected two or more classes, got {len(names)}")
    if counts.min() < 2:
        single = names[counts.argmin()]
        raise ReproducerError(
            f"expected two or more members in every class, got one in {str(single)!r}"
        )


def silhouettes(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`(b − a) / max(a, b)` of each text, (n,).

    a is the mean distance to the others of its class, b the least mean distance to another
    class.
    """
    labels = np.asarray(labels)
    require_classes(labels)
    names, number = np.unique(labels, return_inverse=True)
    member = np.eye(len(names))[number]  # (n, classes)
    sizes = member.sum(0)
    totals = distances @ member
    own = member.astype(bool)
    inside = totals[own] / (sizes[number] - 1)
    outside = np.where(own, np.inf, totals / sizes).min(1)
    return (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)


def nearest_others(distances: np.ndarray, k: int = 3) -> np.ndarray:
    """The `k` nearest others of each text, (n, k) row numbers, the nearest first."""
    n = len(distances)
    if not 1 <= k < n:
        raise ReproducerError(f"expected k between 1 and {n - 1}, got {k}")
    apart = distances + np.diag(np.full(n, np.inf))
    return np.argsort(apart, axis=1, kind="stable")[:, :k]


def neighbour_share(nearest: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each text's nearest others (n, k) that have its label, (n,)."""
    labels = np.asarray(labels)
    require_classes(labels)
    return (labels[nearest] == labels[:, None]).mean(1)


def chance_share(labels: np.ndarray) -> float:
    """What `neighbour_share` expects of random neighbours: mean of (class size − 1)/(n − 1)."""
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return float((counts[number] - 1).mean() / (len(labels) - 1))


def permutation_p(
    values: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    n_permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """One-sided p of the mean of `values(labels)` when labels are shuffled.

    `(1 + shuffles at least as high) / (1 + shuffles)`, so it is never 0.
    """
    draw = np.random.default_rng(seed)
    observed = values(np.asarray(labels)).mean()
    shuffled = (values(draw.permutation(labels)).mean() for _ in range(n_permutations))
    as_high = sum(mean >= observed - 1e-12 for mean in shuffled)
    return (1 + as_high) / (1 + n_permutations)


def tsne_map(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """A t-SNE map (n, 2) by cosine distance; perplexity 30, less for few vectors."""
    # Imported late: it takes a second.
    from sklearn.manifold import TSNE

    n = len(vectors)
    if n < 4:
        raise ReproducerError(f"expected 4 or more vectors to map, got {n}")
    tsne = TSNE(
        metric="precomputed",
        init="random",
        perplexity=min(30.0, (n - 1) / 3),
        random_state=seed,
    )
    return tsne.fit_transform(cosine_distances(vectors))
