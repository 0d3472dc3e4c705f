"""Linear probes: how well a class can be read from vectors of words never seen in training.

Least squares on standardised features, ridge-regularised, one output a class: the class with the
largest output is named (scikit-learn's `RidgeClassifier`). Cross-validation leaves out one group at
a time; with groups of disjoint vocabulary, a probe cannot answer by remembering content words.

Sentences of one class and group share their words, and a group's sentences share a probe, so that
sentences are not independent. The unit is the *cell*, all sentences of a class in a group: an
interval over cells keeps its coverage under effects of vocabularies and of class and vocabulary
together, as a simulation in the tests shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reproducer.analysis.clusters import require_classes
from reproducer.errors import ReproducerError

PERMUTATIONS = 199


def probe_hits(features: NDArray, labels: NDArray, groups: NDArray) -> NDArray:
    """Whether the probe names the class of each text of a left-out group right: (n,) bool.

    Raises:
        ReproducerError: one group only, or a class with fewer than two members.
    """
    require_classes(labels)
    if len(np.unique(groups)) < 2:
        raise ReproducerError(f"expected two or more groups, got {len(np.unique(groups))}")
    return _hits(features, np.asarray(labels)[None], groups)[0]


def cell_accuracy(hits: NDArray, labels: NDArray, groups: NDArray) -> float:
    """Mean over cells (class and group) of the share of hits; chance is 1 / classes."""
    number = cells(labels, groups)
    return float((np.bincount(number, hits) / np.bincount(number)).mean())


def cells(labels: NDArray, groups: NDArray) -> NDArray:
    """The number of each text's cell, its class in its group: (n,)."""
    pairs = np.stack([np.unique(names, return_inverse=True)[1] for names in (labels, groups)])
    return np.unique(pairs, axis=1, return_inverse=True)[1].ravel()


def permutation_p(
    features: NDArray, labels: NDArray, groups: NDArray, n_permutations: int = PERMUTATIONS
) -> float:
    """One-sided p of `cell_accuracy` when classes are shuffled within their groups.

    `(1 + shuffles at least as high) / (1 + shuffles)`, so it is never 0.
    """
    draw = np.random.default_rng(0)
    orders = [_within(groups, draw) for _ in range(n_permutations)]
    mixed = np.array([labels, *(np.asarray(labels)[order] for order in orders)])
    hits = _hits(features, mixed, groups)
    pairs = zip(hits, mixed, strict=True)
    observed, *shuffled = (cell_accuracy(h, given, groups) for h, given in pairs)
    return (1 + sum(value >= observed - 1e-12 for value in shuffled)) / (1 + n_permutations)


def bag_of_words(sentences: list[str]) -> NDArray:
    """Which words and punctuation marks a sentence has, in no order: (n, vocabulary) 0/1."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(token_pattern=r"\w+|[^\w\s]", binary=True)
    return counter.fit_transform(sentences).toarray().astype(float)


def _hits(features: NDArray, labels: NDArray, groups: NDArray) -> NDArray:
    """Hits (k, n) for k labellings (k, n) of the same texts, each with probes of its own."""
    # Imported late: they take a second.
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    names, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape)
    hits = np.zeros(labels.shape, dtype=bool)
    for group in np.unique(groups):
        train, test = groups != group, groups == group
        scaler = StandardScaler().fit(features[train])
        # One penalty for all outputs, hence all labellings in one factorisation.
        targets = 2 * np.eye(len(names))[numbers[:, train]] - 1  # (k, n_train, classes)
        outputs = targets.transpose(1, 0, 2).reshape(train.sum(), -1)
        probe = Ridge(alpha=features.shape[1]).fit(scaler.transform(features[train]), outputs)
        said = probe.predict(scaler.transform(features[test])).reshape(test.sum(), len(labels), -1)
        hits[:, test] = numbers[:, test] == said.argmax(2).T
    return hits


def _within(groups: NDArray, draw: np.random.Generator) -> NDArray:
    """A random order that leaves every text in its group."""
    order = np.arange(len(groups))
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        order[inside] = draw.permutation(inside)
    return order
