"""Regression over pairs of texts, whose errors are not independent.

Every pair belongs to the contexts of both its texts, so two pairs that share a context err
together. The variance that allows for this sums the products of the scores of all pairs of
observations with a context in common (Fafchamps & Gubert 2007, "dyadic" clustering):

    V = (XᵀX)⁻¹ [ Σ_k S_k S_kᵀ − Σ_{a<b} T_ab T_abᵀ ] (XᵀX)⁻¹ · K/(K−1)

with `S_k` the summed scores of the pairs that touch context k, `T_ab` those of the pairs
between a and b (which the first sum counts twice), and K contexts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from reproducer.errors import ReproducerError


@dataclass(frozen=True)
class PairFit:
    """Coefficients by name, their standard errors, and how many contexts and pairs they rest on."""

    coefficients: pd.Series
    errors: pd.Series
    n_contexts: int
    n_pairs: int

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float, float]:
        """(coefficient, low, high), from Student's t with `n_contexts − 1` degrees of freedom."""
        centre, error = float(self.coefficients[name]), float(self.errors[name])
        half = float(stats.t.ppf(0.5 + level / 2, self.n_contexts - 1)) * error
        return centre, centre - half, centre + half


def pair_regression(pairs: pd.DataFrame, outcome: str, terms: list[str]) -> PairFit:
    """Least squares of `outcome` on a constant and `terms`, with context-clustered errors.

    Args:
        pairs: one row a pair, with the columns `context_a`, `context_b`, `outcome`, `terms`.

    Raises:
        ReproducerError: fewer than two contexts, or terms that cannot be told apart.
    """
    design = sm.add_constant(pairs[terms].astype(float), has_constant="add")
    codes, names = pd.factorize(pd.concat([pairs["context_a"], pairs["context_b"]]))
    a, b = codes[: len(pairs)], codes[len(pairs) :]
    if len(names) < 2:
        raise ReproducerError(f"expected pairs from at least 2 contexts, got {len(names)}")
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ReproducerError(f"the terms {', '.join(terms)} cannot be told apart on these pairs")
    fitted = sm.OLS(pairs[outcome].astype(float), design).fit()
    scores = design.to_numpy() * fitted.resid.to_numpy()[:, None]
    bread = np.linalg.inv(design.to_numpy().T @ design.to_numpy())
    variance = bread @ _meat(scores, a, b, len(names)) @ bread
    # Few contexts can make a diagonal term negative: then there is no telling the error.
    errors = np.sqrt(np.where(variance.diagonal() > 0, variance.diagonal(), np.nan))
    errors = pd.Series(errors, index=design.columns)
    return PairFit(fitted.params, errors, len(names), len(pairs))


def _meat(scores: np.ndarray, a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """Sum of score products over all observations with a context in common, (k, k)."""
    between = a != b
    touching = np.zeros((n, scores.shape[1]))
    np.add.at(touching, a, scores)
    np.add.at(touching, b[between], scores[between])
    low, high = np.minimum(a, b)[between], np.maximum(a, b)[between]
    both = np.zeros((n * n, scores.shape[1]))
    np.add.at(both, low * n + high, scores[between])
    return (touching.T @ touching - both.T @ both) * n / (n - 1)
