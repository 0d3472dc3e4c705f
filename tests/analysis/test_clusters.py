"""Distances and closeness against scikit-learn, plain loops and planted clusters."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from reproducer.analysis.clusters import (
    closeness,
    closeness_near_one,
    cosine_distances,
    group_wins,
    mean_win,
    require_classes,
    tsne_map,
)
from reproducer.errors import ReproducerError

LABELS = np.array(["a", "b", "a", "c", "b", "c", "a", "b", "c", "c"])


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(10, 6))


def test_distances(vectors):
    expected = pairwise_distances(vectors, metric="cosine")
    np.testing.assert_allclose(cosine_distances(vectors), expected, atol=1e-12)


def test_a_row_of_zeros_has_no_direction():
    assert cosine_distances(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0, 1], [1, 0]]


def test_wins_equal_a_loop_over_triples(vectors):
    distances = cosine_distances(vectors)
    distances[0, 2] = distances[2, 0] = distances[0, 1] = distances[1, 0] = 0.5  # a tie
    wins = group_wins(distances, LABELS)
    assert np.isnan(wins.diagonal()).all()
    for f, own in enumerate("abc"):
        for g, other in enumerate("abc"):
            if f != g:
                values = [
                    1.0 if near < far else 0.5 if near == far else 0.0
                    for i, j in permutations(np.flatnonzero(own == LABELS), 2)
                    for near in [distances[i, j]]
                    for far in distances[i, np.flatnonzero(other == LABELS)]
                ]
                assert wins[f, g] == pytest.approx(np.mean(values))
    assert mean_win(wins) == pytest.approx(np.mean(wins[~np.isnan(wins)]))


def test_rounding_decides_no_tie():
    """Bags of words have few values, which another product rounds in another way."""
    bags = np.random.default_rng(0).integers(0, 2, (len(LABELS), 6)) + np.eye(len(LABELS), 6)
    distances = cosine_distances(bags)
    noise = 1e-13 * np.random.default_rng(1).standard_normal(distances.shape)
    np.testing.assert_array_equal(
        group_wins(distances + noise, LABELS), group_wins(distances, LABELS)
    )
    assert len(np.unique(distances.round(9))) < len(LABELS) * (len(LABELS) - 1) / 2


def test_a_group_of_one_is_compared_with_but_not_asked_about(vectors):
    labels = np.where(np.arange(10) == 3, "z", "a")
    wins = group_wins(cosine_distances(vectors), labels)
    assert np.isnan(wins[1]).all() and 0 <= wins[0, 1] <= 1
    assert np.isnan(mean_win(np.full((2, 2), np.nan)))


def families(n, size, pull, draw, d=20):
    centres = np.repeat(draw.normal(size=(n, d)), size, axis=0)
    return cosine_distances(pull * centres + draw.normal(size=(n * size, d)))


def test_closeness_is_half_by_chance_and_near_one_for_clusters():
    draw, labels = np.random.default_rng(0), np.repeat(np.arange(20), 3)
    chance = closeness(group_wins(families(20, 3, 0.0, draw), labels))
    assert chance.low < 0.5 < chance.high
    clusters = group_wins(families(20, 3, 3.0, draw), labels)
    assert closeness_near_one(clusters).low > 0.8 and mean_win(clusters) > 0.95
    difference = closeness(clusters, group_wins(families(20, 3, 0.0, draw), labels))
    assert difference.estimate > 0.3


@pytest.mark.parametrize("pull", [0.0, 0.4])
def test_closeness_covers_the_truth(pull):
    draw, labels, intervals = np.random.default_rng(1), np.repeat(np.arange(14), 3), []
    for _ in range(80):
        intervals.append(closeness(group_wins(families(14, 3, pull, draw), labels)))
    truth = np.mean([i.estimate for i in intervals])
    assert np.mean([i.low <= truth <= i.high for i in intervals]) >= 0.92


@pytest.mark.parametrize(
    "labels, message",
    [(["a"] * 10, "two or more classes, got 1"), (["a"] * 9 + ["b"], "got one in 'b'")],
)
def test_degenerate_classes(labels, message):
    with pytest.raises(ReproducerError, match=message):
        require_classes(np.array(labels))


def test_map_is_reproducible_and_needs_four(vectors):
    assert np.array_equal(tsne_map(vectors), tsne_map(vectors))
    with pytest.raises(ReproducerError, match="4 or more vectors to map, got 3"):
        tsne_map(vectors[:3])
