"""Kinds of data whose true value is known, and the interval of a sample of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

from reproducer.analysis.clusters import closeness, closeness_near_one, group_wins
from reproducer.analysis.dyads import closer_interval
from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import (
    mean_interval,
    ratio_interval,
    share_interval,
    statistic_interval,
)
from reproducer.analysis.probes import cells, probe_hits
from reproducer.analysis.spreads import spread_interval

UNITS = (4, 6, 8, 12, 16, 24, 32, 64)
SIMULATIONS = 1000
PAIR_SIMULATIONS = 3000  # the kinds closest to the limit, so that chance does not decide
# Of contexts, families and texts, and of pairs: standard deviations of effects on a distance.
GROUP_EFFECT, TEXT_EFFECT, PAIR_EFFECT = 0.7, 0.5, 1.0
N_CLASSES, N_VOCABULARIES, N_FEATURES = 7, 4, 30  # of sentences that a probe is asked about
FEW = (4, 8, 12, 16, 24)  # for what takes longer
CELLS = (N_CLASSES * N_VOCABULARIES,)
FOUR_ALIKE, FOUR_APART = np.full(4, 0.5), np.array([0.5, 0.5, 0.55, 0.6])


class Kind(NamedTuple):
    """A kind of data: its true value, the interval of a sample of n units, and what is simulated.

    `truth`: None takes the mean estimate of all samples, for a statistic without a bias. `units`:
    the n that are simulated; None takes `UNITS`.
    """

    truth: float | None
    interval: Callable[[Generator, int], Interval]
    simulations: int = SIMULATIONS
    units: Sequence[int] | None = None


def _pearson(x: NDArray, y: NDArray) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def _auc(values: NDArray, group: NDArray) -> float:
    order = stats.rankdata(values)
    n_in, n_out = group.sum(), (~group).sum()
    return (order[group].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out)


def _auc_of(draw: Generator, n: int, shift: float) -> Interval:
    group = np.arange(n) % 2 == 0
    values = draw.normal(size=n) + shift * group
    return statistic_interval(n, lambda i: _auc(values[i], group[i]), bounds=(0, 1))


def _normal_pairs(draw: Generator, n: int, rho: float) -> NDArray:
    x, y = draw.normal(size=(2, n))
    return np.stack([x, rho * x + (1 - rho**2) ** 0.5 * y])


def _correlation_of(draw: Generator, n: int, rho: float) -> Interval:
    pairs = _normal_pairs(draw, n, rho)
    return statistic_interval(n, lambda i: _pearson(*pairs[:, i]), bounds=(-1, 1))


def _distance_correlation(points: NDArray) -> float:
    """Mantel's statistic: the correlation of the distances between points, on either axis."""
    a, b = np.triu_indices(points.shape[1], 1)
    return _pearson(*np.abs(points[:, a] - points[:, b]))


def _mantel_of(draw: Generator, n: int, rho: float) -> Interval:
    pairs = _normal_pairs(draw, n, rho)
    return statistic_interval(n, lambda i: _distance_correlation(pairs[:, i]), bounds=(-1, 1))


def _two_correlations_of(draw: Generator, n: int) -> Interval:
    """The difference between the correlations of one variable with two others, 0.8 and 0.2."""
    x, other, another = draw.normal(size=(3, n))
    y, z = 0.8 * x + 0.6 * other, 0.2 * x + 0.96**0.5 * another
    return statistic_interval(
        n, lambda i: _pearson(x[i], y[i]) - _pearson(x[i], z[i]), bounds=(-2, 2)
    )


@cache
def _mantel_truth(rho: float) -> float:
    x, y = _normal_pairs(np.random.default_rng(1), 1_000_000, rho).reshape(2, 2, -1)
    return _pearson(np.abs(x[0] - x[1]), np.abs(y[0] - y[1]))


def _difference_of(draw: Generator, n: int) -> Interval:
    group = np.arange(n) % 2 == 0
    values = draw.exponential(size=n) + group
    return statistic_interval(n, lambda i: values[i][group[i]].mean() - values[i][~group[i]].mean())


def _clustered(draw: Generator, n: int) -> Interval:
    """Three to six values a unit that share the unit's own normal effect."""
    units = np.repeat(np.arange(n), draw.integers(3, 7, n))
    return mean_interval(draw.normal(size=n)[units] + 0.5 * draw.normal(size=len(units)), units)


def _ceiling(draw: Generator, n: int) -> NDArray:
    """Accuracies of which 0.7 are perfect and the rest anywhere from 0.3."""
    return np.where(draw.random(n) < 0.7, 1.0, draw.uniform(0.3, 1, n))


def _rare_failures(draw: Generator, n: int) -> NDArray:
    """Differences of accuracies: mostly small, and a total loss in one text of 20."""
    return np.where(draw.random(n) < 0.05, -1.0, draw.normal(0, 0.03, n).clip(-1, 1))


def _ratio_with_zeros(draw: Generator, n: int, paired: bool) -> Interval:
    """Texts that hold a varying amount; 0.2 of them nothing on one side."""
    size = draw.gamma(4, size=n)
    below = size * draw.uniform(0.5, 1.5, n) if paired else draw.gamma(4, size=n)
    above = 2 * size * draw.uniform(0.5, 1.5, n) * (draw.random(n) < 0.8)
    return ratio_interval(above, below, paired=paired)


def _grouped_distances(draw: Generator, n: int, size: int, apart: float) -> tuple[NDArray, NDArray]:
    """Distances between `size` texts of each of n groups, and the group of each text.

    A pair's is a sum of normal effects of both groups, of both texts and of the pair, and larger by
    `apart` between groups.
    """
    group = np.repeat(np.arange(n), size)
    of_text = GROUP_EFFECT * draw.normal(size=n)[group] + TEXT_EFFECT * draw.normal(size=len(group))
    pair = np.triu(PAIR_EFFECT * draw.normal(size=(len(group),) * 2), 1)
    between = apart * (group[:, None] != group)
    return of_text[:, None] + of_text + pair + pair.T + between, group


def _chance_closer(apart: float, n_texts: int) -> float:
    """The chance that one of two `_grouped_distances`, of n_texts in all, is that much larger."""
    # Both pairs have a group in common, and the texts that they share cancel.
    variance = 2 * GROUP_EFFECT**2 + n_texts * TEXT_EFFECT**2 + 2 * PAIR_EFFECT**2
    return float(stats.norm.cdf(apart / variance**0.5))


def _pairs_of(draw: Generator, n: int, apart: float, slope: float) -> Interval:
    """Pairs of three texts of each of n contexts, at equal distance of the texts if it matters."""
    distances, context = _grouped_distances(draw, n, 3, apart)
    a, b = np.triu_indices(len(context), 1)
    of_texts = draw.random(len(a)) + (context[a] != context[b])
    pairs = pd.DataFrame(
        {
            "context_a": context[a],
            "context_b": context[b],
            "distance": distances[a, b] + slope * of_texts,
            "of_texts": of_texts,
        }
    )
    near = pairs["context_a"] == pairs["context_b"]
    return closer_interval(pairs, near, ~near, "of_texts" if slope else None)


def _pairs_truth(apart: float) -> float:
    """Two pairs of three texts in one context and one elsewhere share a text in two of three."""
    return (2 * _chance_closer(apart, 2) + _chance_closer(apart, 4)) / 3


def _families_of(draw: Generator, n: int, apart: float, interval: Callable) -> Interval:
    return interval(group_wins(*_grouped_distances(draw, n, 4, apart)))


def _families_twice(draw: Generator, n: int, apart: float, other: float) -> Interval:
    """The difference of two AUCs of the same families, which share their texts' effects."""
    distances, family = _grouped_distances(draw, n, 4, apart)
    noise = np.triu(PAIR_EFFECT * draw.normal(size=distances.shape), 1)
    fewer = (apart - other) * (family[:, None] != family)
    again = distances + noise + noise.T - fewer
    return closeness(group_wins(distances, family), group_wins(again, family))


def _twice_truth(apart: float, other: float) -> float:
    noisier = (2 * (GROUP_EFFECT**2 + TEXT_EFFECT**2) + 4 * PAIR_EFFECT**2) ** 0.5
    return _chance_closer(apart, 2) - float(stats.norm.cdf(other / noisier))


def _read_by_probe(draw: Generator, signal: float) -> tuple[NDArray, NDArray]:
    """Whether a probe reads the class of ten sentences of each class, and their cells.

    Features are normal, with effects of the class, of the vocabulary, and of both together.
    """
    classes = np.repeat(np.arange(N_CLASSES), 10)
    vocabulary = np.tile(np.arange(10) % N_VOCABULARIES, N_CLASSES)
    cell = cells(classes, vocabulary)
    of_class = np.random.default_rng(0).normal(size=(N_CLASSES, N_FEATURES))
    of_words = draw.normal(size=(N_VOCABULARIES, N_FEATURES))
    of_both = draw.normal(size=(N_CLASSES * N_VOCABULARIES, N_FEATURES))
    features = signal * of_class[classes] + of_words[vocabulary] + 0.5 * of_both[cell]
    features += draw.normal(size=features.shape)
    return probe_hits(features, classes, vocabulary).astype(float), cell


def _cells_of(draw: Generator, n: int, signal: float) -> Interval:
    return mean_interval(*_read_by_probe(draw, signal), bounds=(0, 1))


def _cells_twice(draw: Generator, n: int, signal: float, other: float) -> Interval:
    (hits, cell), (words, _) = (_read_by_probe(draw, s) for s in (signal, other))
    return mean_interval(hits - words, cell, bounds=(-1, 1))


def _spread_of(draw: Generator, n: int, means: Sequence[float]) -> Interval:
    """The largest minus the smallest of several means of shares, over the same texts."""
    of_text = 0.1 * draw.normal(size=(n, 1))
    return spread_interval(means + of_text + 0.1 * (draw.exponential(size=(n, len(means))) - 1))


def _means(sample: Callable[[Generator, int], NDArray], **options) -> Callable:
    return lambda draw, n: mean_interval(sample(draw, n), **options)


UNIT, EITHER = {"bounds": (0, 1)}, {"bounds": (-1, 1)}
KINDS: dict[str, Kind] = {
    "normal": Kind(0, _means(lambda d, n: d.normal(size=n))),
    "heavy tails (t, 3 degrees)": Kind(0, _means(lambda d, n: d.standard_t(3, n))),
    "skewed (gamma, shape 2)": Kind(2, _means(lambda d, n: d.gamma(2, size=n))),
    "very skewed (exponential)": Kind(1, _means(lambda d, n: d.exponential(size=n))),
    "0.3 zeros, else exponential": Kind(
        0.7, _means(lambda d, n: d.exponential(size=n) * (d.random(n) < 0.7))
    ),
    "values within clusters": Kind(0, _clustered),
    "share 0.5": Kind(0.5, lambda d, n: share_interval(d.binomial(n, 0.5), n)),
    "share 0.9": Kind(0.9, lambda d, n: share_interval(d.binomial(n, 0.9), n)),
    "binary 0.9, bounded": Kind(0.9, _means(lambda d, n: d.binomial(1, 0.9, n), **UNIT)),
    "accuracies at the ceiling": Kind(0.7 + 0.3 * 0.65, _means(_ceiling, **UNIT)),
    "accuracies below it (beta 8, 1.5)": Kind(
        8 / 9.5, _means(lambda d, n: d.beta(8, 1.5, n), **UNIT)
    ),
    "differences with rare failures": Kind(-0.05, _means(_rare_failures, **EITHER)),
    "uniform, bounded": Kind(0.5, _means(lambda d, n: d.random(n), **UNIT)),
    "paired ratio with zeros": Kind(1.6, lambda d, n: _ratio_with_zeros(d, n, True)),
    "ratio of two samples with zeros": Kind(1.6, lambda d, n: _ratio_with_zeros(d, n, False)),
    "paired ratio of exponentials": Kind(
        1, lambda d, n: ratio_interval(d.exponential(size=n), d.exponential(size=n))
    ),
    "correlation 0.5": Kind(0.5, lambda d, n: _correlation_of(d, n, 0.5)),
    "correlation 0.9": Kind(0.9, lambda d, n: _correlation_of(d, n, 0.9)),
    "difference of two correlations": Kind(0.6, _two_correlations_of, PAIR_SIMULATIONS),
    "AUC 0.76": Kind(stats.norm.cdf(1 / 2**0.5), lambda d, n: _auc_of(d, n, 1)),
    "AUC 0.92": Kind(stats.norm.cdf(2 / 2**0.5), lambda d, n: _auc_of(d, n, 2)),
    "Mantel correlation, none": Kind(0, lambda d, n: _mantel_of(d, n, 0), PAIR_SIMULATIONS),
    "Mantel correlation, high": Kind(
        _mantel_truth(0.8), lambda d, n: _mantel_of(d, n, 0.8), PAIR_SIMULATIONS
    ),
    "difference of two skewed samples": Kind(1, _difference_of),
    "pairs of contexts, no effect": Kind(0.5, lambda d, n: _pairs_of(d, n, 0, 0), units=(*FEW, 32)),
    "pairs of contexts": Kind(
        _pairs_truth(1), lambda d, n: _pairs_of(d, n, 1, 0), units=(*FEW, 32)
    ),
    "pairs of contexts, large effect": Kind(
        _pairs_truth(4), lambda d, n: _pairs_of(d, n, 4, 0), units=(*FEW, 32)
    ),
    "pairs of contexts, at equal distance": Kind(
        _pairs_truth(1), lambda d, n: _pairs_of(d, n, 1, 1), units=FEW
    ),
    "AUC of families": Kind(
        _chance_closer(1, 2), lambda d, n: _families_of(d, n, 1, closeness), units=FEW
    ),
    "AUC of families, large": Kind(
        _chance_closer(4, 2), lambda d, n: _families_of(d, n, 4, closeness), 2000, (*FEW, 32)
    ),
    "AUC of families, by their own shares": Kind(
        _chance_closer(1, 2), lambda d, n: _families_of(d, n, 1, closeness_near_one), units=FEW
    ),
    "AUC of families, large, by their own shares": Kind(
        _chance_closer(4, 2), lambda d, n: _families_of(d, n, 4, closeness_near_one), units=FEW
    ),
    "difference of two AUCs of families": Kind(
        _twice_truth(1, 0.5), lambda d, n: _families_twice(d, n, 1, 0.5), units=FEW
    ),
    "classes read by a probe": Kind(None, lambda d, n: _cells_of(d, n, 0.3), units=CELLS),
    "classes hardly read by a probe": Kind(None, lambda d, n: _cells_of(d, n, 0.05), units=CELLS),
    "classes read by one of two probes": Kind(
        None, lambda d, n: _cells_twice(d, n, 0.4, 0.2), units=CELLS
    ),
    "spread of four equal means": Kind(0, lambda d, n: _spread_of(d, n, FOUR_ALIKE)),
    "spread of four means": Kind(0.1, lambda d, n: _spread_of(d, n, FOUR_APART)),
}
