"""Regression over pairs: against a double loop over observations, and against statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from reproducer.analysis.pair_regression import pair_regression
from reproducer.errors import ReproducerError


def some_pairs(n=60, n_contexts=5, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, n_contexts, (2, n))
    x = rng.normal(size=n)
    same = (a == b).astype(float)
    shift = rng.normal(size=n_contexts)
    y = 1 + 2 * x - 0.5 * same + shift[a] + shift[b] + rng.normal(size=n)
    names = np.array([f"c{i}" for i in range(n_contexts)])
    return pd.DataFrame(
        {"context_a": names[a], "context_b": names[b], "y": y, "x": x, "same": same}
    )


def test_errors_equal_the_double_loop_over_observations():
    pairs = some_pairs()
    ours = pair_regression(pairs, "y", ["x", "same"])
    x = np.column_stack([np.ones(len(pairs)), pairs["x"], pairs["same"]])
    beta = np.linalg.lstsq(x, pairs["y"].to_numpy(), rcond=None)[0]
    residuals = pairs["y"].to_numpy() - x @ beta
    contexts = [{r.context_a, r.context_b} for r in pairs.itertuples()]
    meat = np.zeros((3, 3))
    for i, first in enumerate(contexts):
        for j, second in enumerate(contexts):
            if first & second:
                meat += residuals[i] * residuals[j] * np.outer(x[i], x[j])
    bread = np.linalg.inv(x.T @ x)
    variance = bread @ meat @ bread * 5 / 4
    np.testing.assert_allclose(ours.coefficients, beta)
    np.testing.assert_allclose(ours.errors**2, variance.diagonal())
    assert (ours.n_contexts, ours.n_pairs) == (5, 60)


def test_within_contexts_it_is_ordinary_clustering():
    pairs = some_pairs(200)
    pairs["context_b"] = pairs["context_a"]
    ours = pair_regression(pairs, "y", ["x"])
    theirs = sm.OLS(pairs["y"], sm.add_constant(pairs[["x"]])).fit(
        cov_type="cluster",
        cov_kwds={"groups": pd.factorize(pairs["context_a"])[0], "use_correction": False},
    )
    np.testing.assert_allclose(ours.errors**2, theirs.bse**2 * 5 / 4)


def test_interval_covers_what_made_the_pairs():
    centre, low, high = pair_regression(some_pairs(4000, 30), "y", ["x", "same"]).interval("x")
    assert low < 2 < high
    assert centre == pytest.approx((low + high) / 2)


def test_bad_input_is_told():
    pairs = some_pairs()
    one = pairs.assign(context_a="c0", context_b="c0")
    with pytest.raises(ReproducerError, match="at least 2 contexts"):
        pair_regression(one, "y", ["x"])
    with pytest.raises(ReproducerError, match="cannot be told apart"):
        pair_regression(pairs.assign(twice=2 * pairs["x"]), "y", ["x", "twice"])
