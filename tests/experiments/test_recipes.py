"""Recipes and precision: curves, steps to the target, verdicts on frames with known answers."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.experiments import precision, recipes


def curve(solved_at, n_steps=100):
    return np.where(np.arange(1, n_steps + 1) >= solved_at, 1.0, 0.5)


def recipe_frame(n_texts=32, slow=90, fast=20, model="smollm2-135m"):
    rows = [
        {
            "model": model,
            "profile": "test",
            "recipe": name,
            "text": f"t{i}",
            "n_tokens": 16,
            "accuracy": 1.0,
            "solved": True,
            "steps": at,
            "curve": curve(at + i % 3),
        }
        for name, at in (("paper", slow), ("fast", fast))
        for i in range(n_texts)
    ]
    return pd.DataFrame(rows)


def test_steps_to_is_the_first_step_at_which_the_mean_arrives():
    curves = np.array([[0.0, 0.9, 1.0, 1.0], [0.0, 0.0, 0.9, 1.0]])
    assert recipes.steps_to(curves, 0.95) == 3
    assert recipes.steps_to(curves, 0.45) == 2
    assert recipes.steps_to(curves[:, :2], 0.95) == np.inf


def test_best_so_far_never_falls_and_is_held_to_the_end():
    best = recipes._best_so_far(np.array([0.2, 0.8, 0.4]), 5)
    np.testing.assert_array_equal(best, [0.2, 0.8, 0.8, 0.8, 0.8])


def test_verdict_on_a_recipe_that_is_fast_enough_and_on_one_that_is_not():
    (verdict,) = recipes.claims(recipe_frame())
    assert verdict.verdict == "reproduced" and verdict.ours == pytest.approx(92 / 22)
    (verdict,) = recipes.claims(recipe_frame(fast=60))
    assert verdict.verdict == "not reproduced"
    (verdict,) = recipes.claims(recipe_frame(n_texts=8))
    assert verdict.verdict == "not tested at this scale"
    assert recipes.claims(recipe_frame(model="tiny")) == []


def test_a_slow_recipe_that_never_arrives_counts_with_its_budget():
    (verdict,) = recipes.claims(recipe_frame(slow=500))
    assert verdict.ours == pytest.approx(100 / 22) and "at least" in verdict.claim


def test_a_fast_recipe_that_never_arrives_has_no_number():
    (verdict,) = recipes.claims(recipe_frame(fast=500))
    assert verdict.ours is None and verdict.verdict == "not tested at this scale"


def test_collected_curves_have_the_whole_budget(monkeypatch):
    df = study(load_params("recipes", "smoke", recipes=("paper", "paper")))
    assert all(len(c) == df["max_steps"].iloc[0] for c in df["curve"])
    assert recipes.figure(df).axes and len(recipes.table(df)) == 1


def precision_frame(gap, n_texts=32):
    rows = [
        {
            "model": "smollm2-135m",
            "profile": "test",
            "dtype": dtype,
            "text": f"t{i}",
            "n_tokens": 8,
            "accuracy": 0.9 + (gap(i) if dtype == "bfloat16" else 0.0),
            "steps": 10,
        }
        for dtype in precision.DTYPES
        for i in range(n_texts)
    ]
    return pd.DataFrame(rows)


def test_precision_verdicts():
    (same,) = precision.claims(precision_frame(lambda i: 0.01 * (-1) ** i))
    assert same.verdict == "reproduced" and same.ours == pytest.approx(0.0)
    (worse,) = precision.claims(precision_frame(lambda i: -0.1))
    assert worse.verdict == "not reproduced" and worse.ours == pytest.approx(-0.1)
    (few,) = precision.claims(precision_frame(lambda i: 0.0, n_texts=4))
    assert few.verdict == "not tested at this scale"


def test_precision_table_and_figure():
    df = study(load_params("precision", "smoke"))
    assert set(df["dtype"]) == set(precision.DTYPES)
    assert list(precision.table(df).index) == sorted(df["n_tokens"].unique())
    assert precision.figure(df).axes
