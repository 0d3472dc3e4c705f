"""The benchmark of coverage: a small run of it, and what the committed table says."""

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

from reproducer.analysis.intervals import MIN_UNITS
from reproducer.paths import ROOT
from reproducer.texts.grammars import CLASSES, GROUPS


@pytest.fixture(scope="module")
def benchmark():
    """The script by its path, since a package has its name; it finds what stands beside it."""
    spec = importlib.util.spec_from_file_location("coverage", ROOT / "benchmarks/coverage.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(ROOT / "benchmarks/coverage.csv")


def test_no_interval_that_a_gate_lets_through_misses_too_often(benchmark, table):
    assert table["wrong"].max() <= benchmark.MOST_WRONG == 0.07
    assert set(table["data"]) == set(benchmark.KINDS)
    assert (table["seed"] == benchmark.SEED).all()


def test_the_table_begins_at_the_gates(table):
    least = table.groupby("method")["n"].min()
    assert least["studentized bootstrap"] == MIN_UNITS["mean"]
    assert least["paired log ratio, studentized bootstrap"] == MIN_UNITS["ratio"]
    assert least["all paired differences at once"] == MIN_UNITS["mean"]
    assert least["jackknife"] == MIN_UNITS["statistic"]
    assert least["Clopper-Pearson"] == least["Gaffke, values in 0 … 1"] == 4


@pytest.mark.parametrize(
    "kind",
    [
        "normal",
        "very skewed (exponential)",
        "share 0.9",
        "binary 0.9, bounded",
        "accuracies at the ceiling",
        "differences with rare failures",
        "values within clusters",
        "paired ratio with zeros",
        "correlation 0.5",
        "AUC 0.76",
        "pairs of contexts",
        "difference of two AUCs of families",
        "spread of four means",
    ],
)
def test_a_small_run_agrees_with_the_table(benchmark, table, kind):
    """300 samples: 0.07 and three standard errors of a share of 300."""
    again = benchmark.coverage([kind], units=(8, 16), simulations=300)
    assert (again["wrong"] <= 0.07 + 3 * (0.05 * 0.95 / 300) ** 0.5).all()
    merged = again.merge(table, on=["data", "n"], suffixes=("", "_table"))
    assert len(merged) == len(again) > 0
    assert merged["median_width"].tolist() == pytest.approx(
        merged["median_width_table"].tolist(), rel=0.25
    )


@pytest.mark.parametrize(
    "kind",
    [
        "pairs of contexts",
        "pairs of contexts, at equal distance",
        "AUC of families, large, by their own shares",
        "difference of two AUCs of families",
    ],
)
def test_the_truth_is_what_estimates_are_about(benchmark, kind):
    """The mean of 100 estimates lies within four standard errors of the true value."""
    truth, interval, *_ = benchmark.KINDS[kind]
    draw = np.random.default_rng(5)
    estimates = np.array([interval(draw, 12).estimate for _ in range(100)])
    assert abs(estimates.mean() - truth) < 4 * estimates.std() / 10


def test_a_probe_is_asked_in_as_many_cells_as_a_claim_has(benchmark):
    kind = "classes read by a probe"
    (row,) = benchmark.coverage([kind], simulations=10).itertuples()
    assert row.n == len(CLASSES) * len(GROUPS) and row.coverage >= 0.7
    _, interval, *_ = benchmark.KINDS[kind]
    made = interval(np.random.default_rng(0), row.n)
    assert made.n == row.n and 1 / 7 < made.estimate < 1


def test_the_simulation_sees_an_interval_that_is_too_narrow(benchmark, monkeypatch):
    """The percentile bootstrap at 8 normal values covers about 0.89: the run must show it."""
    from reproducer.analysis.estimates import Interval

    def narrow(draw, n):
        sample = draw.normal(size=n)
        means = draw.choice(sample, (2000, n)).mean(1)
        return Interval(sample.mean(), *np.percentile(means, [2.5, 97.5]), n, "percentile")

    monkeypatch.setitem(benchmark.KINDS, "narrow", sys.modules["planted"].Kind(0.0, narrow))
    assert benchmark.coverage(["narrow"], units=(5,), simulations=200)["wrong"].item() > 0.09
