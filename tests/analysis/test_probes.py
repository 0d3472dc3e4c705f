"""Probes against a plain loop over left-out groups."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from reproducer.analysis.intervals import mean_interval
from reproducer.analysis.probes import (
    bag_of_words,
    cell_accuracy,
    cells,
    permutation_p,
    probe_hits,
)
from reproducer.errors import ReproducerError

LABELS = np.tile(["a", "b", "c"], 8)
GROUPS = np.repeat(np.arange(4), 6)


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(24, 5)) + 2 * np.eye(5)[np.tile([0, 1, 2], 8)]


def test_probe_equals_a_loop(features):
    hits = np.zeros(24, dtype=bool)
    for group in range(4):
        train, test = group != GROUPS, group == GROUPS
        mean, std = features[train].mean(0), features[train].std(0)
        probe = RidgeClassifier(alpha=features.shape[1])
        probe.fit((features[train] - mean) / std, LABELS[train])
        hits[test] = probe.predict((features[test] - mean) / std) == LABELS[test]
    assert np.array_equal(probe_hits(features, LABELS, GROUPS), hits)
    assert hits.mean() > 0.6


def test_accuracy_is_the_mean_of_cells():
    labels, groups = np.array(["a", "a", "a", "b"]), np.array([0, 0, 1, 1])
    assert cells(labels, groups).tolist() == [0, 0, 1, 2]
    assert cell_accuracy(np.array([1, 0, 1, 0]), labels, groups) == pytest.approx((0.5 + 1 + 0) / 3)


def test_p_is_small_for_classes_that_can_be_read_and_uniform_otherwise(features):
    assert permutation_p(features, LABELS, GROUPS, 99) == 0.01
    draw = np.random.default_rng(1)
    p = [permutation_p(draw.normal(size=(24, 5)), LABELS, GROUPS, 39) for _ in range(40)]
    assert 0.35 < np.mean(p) < 0.7 and np.mean(np.array(p) <= 0.25) < 0.5


def test_p_shuffles_within_groups_only():
    """Features that tell groups apart, where groups differ in their classes, tell nothing."""
    labels = np.array(["a"] * 6 + ["b"] * 2 + ["a"] * 2 + ["b"] * 6)
    groups = np.repeat([0, 1], 8)
    features = groups[:, None] + 0.01 * np.random.default_rng(0).normal(size=(16, 1))
    assert permutation_p(features, labels, groups, 99) > 0.05


@pytest.mark.parametrize("signal, vocabulary, both", [(0, 1, 0.5), (0.3, 0.5, 0.5), (0.5, 0.5, 0)])
def test_intervals_over_cells_cover_the_truth(signal, vocabulary, both):
    """With words of a group, and words of a class in a group, new in every sample."""
    draw = np.random.default_rng(0)
    means = draw.normal(size=(7, 30))
    labels, groups = np.tile(np.repeat(np.arange(7), 6), 4), np.repeat(np.arange(4), 42)
    intervals = []
    for _ in range(40):
        shared = vocabulary * draw.normal(size=(4, 30))[groups]
        own = both * draw.normal(size=(28, 30))[cells(labels, groups)]
        features = signal * means[labels] + shared + own + draw.normal(size=(168, 30))
        hits = probe_hits(features, labels, groups)
        intervals.append(mean_interval(hits, cells(labels, groups), bounds=(0, 1)))
    truth = np.mean([i.estimate for i in intervals])
    assert np.mean([i.low <= truth <= i.high for i in intervals]) >= 0.93


def test_bag_knows_words_and_marks_but_no_order():
    bag = bag_of_words(["Why me?", "Me, why?", "Why me."])
    assert bag.max() == 1 and bag.shape[1] == 5  # why me ? , .
    assert (bag[0] != bag[1]).sum() == 1 and (bag[0] != bag[2]).sum() == 2


def test_one_group_cannot_be_left_out(features):
    with pytest.raises(ReproducerError, match="two or more groups, got 1"):
        probe_hits(features, LABELS, np.zeros(24))


def test_one_member_in_a_class(features):
    with pytest.raises(ReproducerError, match="got one in 'z'"):
        probe_hits(features, np.array(["z", *LABELS[1:]]), GROUPS)
