"""Relations between vectors: equal to what the solver measures, and to loops over pairs."""

import numpy as np
import pytest
import torch

from reproducer.analysis.agreement import cosine_matrix, relational_correlation
from reproducer.solver import penalties

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [3, 6, 17])
def test_equals_what_the_solver_measures(n):
    e, teacher = RNG.normal(size=(n, 24)), RNG.normal(size=(n, 7))
    ours = relational_correlation(e, teacher)
    for term in ("mse", "huber"):
        theirs = penalties.AGREEMENT[term](torch.tensor(e), torch.tensor(teacher))
        assert ours == pytest.approx(theirs.item(), abs=1e-12)
    theirs = penalties.cosine_matrix(torch.tensor(e)).numpy()
    np.testing.assert_allclose(cosine_matrix(e), theirs, atol=1e-12)


def test_only_the_pairs_asked_for_count():
    e, teacher = RNG.normal(size=(9, 5)), RNG.normal(size=(9, 4))
    cluster = np.repeat([0, 1, 2], 3)
    pairs = [(i, j) for i in range(9) for j in range(i) if cluster[i] != cluster[j]]

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    slow = np.corrcoef(
        [cosine(e[i], e[j]) for i, j in pairs], [cosine(teacher[i], teacher[j]) for i, j in pairs]
    )[0, 1]
    fast = relational_correlation(e, teacher, cluster[:, None] != cluster)
    assert fast == pytest.approx(slow)


def test_no_number_without_pairs_or_spread():
    e, teacher = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5))
    assert np.isnan(relational_correlation(e[:2], teacher[:2]))
    assert np.isnan(relational_correlation(e, teacher, np.zeros((4, 4), bool)))
    assert np.isnan(relational_correlation(np.ones((4, 5)), teacher))
    assert np.isnan(relational_correlation(np.zeros((4, 5)), teacher))
