"""Probes against a plain loop over left-out groups."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from reproducer.analysis.probes import bag_of_words, probe_hits, shuffled_hits
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
        probe = LogisticRegression(max_iter=1000)
        probe.fit((features[train] - mean) / std, LABELS[train])
        hits[test] = probe.predict((features[test] - mean) / std) == LABELS[test]
    assert np.array_equal(probe_hits(features, LABELS, GROUPS), hits)
    assert hits.mean() > 0.6


def test_shuffled_labels_are_at_chance(features):
    assert shuffled_hits(features, LABELS, GROUPS).mean() == pytest.approx(1 / 3, abs=0.15)


def test_bag_knows_words_and_marks_but_no_order():
    bag = bag_of_words(["Why me?", "Me, why?", "Why me."]).toarray()
    assert bag.max() == 1 and bag.shape[1] == 5  # why me ? , .
    assert (bag[0] != bag[1]).sum() == 1 and (bag[0] != bag[2]).sum() == 2


def test_one_group_cannot_be_left_out(features):
    with pytest.raises(ReproducerError, match="two or more groups, got 1"):
        probe_hits(features, LABELS, np.zeros(24))


def test_one_member_in_a_class(features):
    with pytest.raises(ReproducerError, match="got one in 'z'"):
        probe_hits(features, np.array(["z", *LABELS[1:]]), GROUPS)
