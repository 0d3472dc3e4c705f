"""Vectors of fitted frames, and the measures of meaning made from them."""

import numpy as np
import pandas as pd
import pytest

from reproducer.analysis.clusters import cosine_distances, silhouettes
from reproducer.errors import ReproducerError
from reproducer.experiments.meaning import (
    VECTORS,
    differences,
    mantel_differences,
    measures,
    subset,
    vectors_of,
)
from reproducer.results.vectors import solved, stacked


@pytest.fixture
def frame():
    """Four families of three; `m` knows the family, `e` does not, the encoder does."""
    draw = np.random.default_rng(0)
    family = np.repeat(list("abcd"), 3)
    meaning = np.eye(8)[np.repeat(range(4), 3)]

    def rows(values):
        return list(values + 0.3 * draw.normal(size=(12, 8)))

    return pd.DataFrame(
        {
            "family": family,
            "text": [f"{f}{i}" for i, f in enumerate(family)],
            "kind": ["original", "paraphrase", "lexical"] * 4,
            "accuracy": np.linspace(0, 1, 12),
            "e": rows(0 * meaning),
            "m": rows(5 * meaning),
            "encoder": rows(meaning),
            "tokens": [(i, i + 1, 90) for i in range(12)],
        }
    )


def test_joined_vectors_weigh_both_alike(frame):
    joined = stacked(frame, "[e;m]")
    assert joined.shape == (12, 16)
    np.testing.assert_allclose(np.linalg.norm(joined[:, :8], axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(joined[:, 8:], axis=1), 1)
    with pytest.raises(ReproducerError, match="unknown token 'f'"):
        stacked(frame, "f")


def test_unsolved_sets_are_refused(frame):
    assert len(solved(frame, 0.5)) == 6
    with pytest.raises(ReproducerError, match="got none of 6: the best has 0.45; raise max_steps"):
        solved(frame[frame["accuracy"] < 0.5], 0.9)


def test_bag_of_tokens(frame):
    bag = vectors_of(frame, "bag of tokens")
    assert bag.shape == (12, 14) and (bag.sum(1) == 3).all()
    assert bag[0] @ bag[1] == 2  # token 1 and token 90


def test_measures_rank_the_vectors(frame):
    found = measures(frame)
    assert list(found.index) == list(VECTORS)
    assert found.loc["m", "silhouette"] > 0.7 > 0.2 > found.loc["e", "silhouette"]
    assert found.loc["m", "neighbours"] > 0.6
    assert found["neighbours_chance"].iloc[0] == pytest.approx(2 / 11)
    assert found.loc["m", "mantel"] > 0.5 and found.loc["m", "mantel_p"] < 0.01
    assert found.loc["encoder", "mantel"] == pytest.approx(1)
    labels = frame["family"].to_numpy()
    mean = silhouettes(cosine_distances(stacked(frame, "m")), labels).mean()
    assert found.loc["m", "silhouette"] == pytest.approx(mean)
    assert (found["silhouette_low"] <= found["silhouette"]).all()


def test_differences_are_m_minus_e(frame):
    found, table = differences(frame), measures(frame)
    assert list(found.index) == list("abcd")
    expected = table.loc["m", "silhouette"] - table.loc["e", "silhouette"]
    assert found["silhouette"].mean() == pytest.approx(expected)
    assert np.nanmean(mantel_differences(frame)) > 0.3


def test_subset_drops_families_that_lost_their_variants(frame):
    assert len(subset(frame, "paraphrase")) == 8
    fewer = frame.drop(index=[1])
    assert set(subset(fewer, "paraphrase")["family"]) == set("bcd")
