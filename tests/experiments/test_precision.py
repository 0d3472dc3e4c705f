"""Precision: paired differences, and a verdict on frames with a known answer."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.experiments import precision as experiment
from reproducer.experiments.precision import DTYPES
from tests.experiments.checks import answers_on_subsets, words


def frame(gap, n_texts=256, lengths=(8,), n_seeds=2, model="smollm2-135m"):
    """A frame as `rows` gives, with `gap(n_tokens, text, seed)` between the two dtypes."""
    rows = [
        {
            "model": model,
            "profile": "test",
            "dtype": dtype,
            "text": f"t{i}",
            "seed": seed,
            "n_tokens": n,
            "accuracy": 0.6 + 0.1 * (i % 3) + (gap(n, i, seed) if dtype == "bfloat16" else 0.0),
            "steps": 10,
        }
        for dtype in DTYPES
        for n in lengths
        for i in range(n_texts)
        for seed in range(n_seeds)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("gap", "word"),
    [
        (lambda n, i, s: 0.01 * (-1) ** i, "holds"),
        (lambda n, i, s: -0.2, "does not hold"),
        (lambda n, i, s: 0.2, "does not hold"),
        (lambda n, i, s: -0.03 + 0.05 * (-1) ** i, "inconclusive"),
        (lambda n, i, s: 0.3 * (-1) ** s, "holds"),  # the starts of a text are averaged
    ],
)
def test_planted_truth(gap, word):
    assert words(experiment.claims(frame(gap))) == {"precision.bfloat16": word}


def test_every_length_counts():
    (verdict,) = experiment.claims(frame(lambda n, i, s: -0.2 * (n == 16), lengths=(8, 16)))
    assert verdict.verdict == "does not hold" and verdict.ours == pytest.approx(-0.2)
    assert [part[:6] for part in verdict.parts] == ["N = 8:", "N = 16"]
    assert verdict.own and verdict.unit == "texts" and verdict.n == 256


def test_few_texts_decide_nothing():
    same = frame(lambda n, i, s: 0.0, n_texts=32)
    (verdict,) = experiment.claims(same)
    assert verdict.verdict == "inconclusive" and verdict.smallest_effect > 0.1
    assert "texts" in verdict.needs


def test_only_what_was_fitted_in_both_dtypes_is_compared():
    df = frame(lambda n, i, s: 0.0, n_texts=8)
    alone = df[(df["dtype"] == "float32") & (df["text"] == "t0")].assign(text="hard", accuracy=0.0)
    gaps = experiment.differences(pd.concat([df, alone]))
    np.testing.assert_allclose(gaps[8], np.zeros(8), atol=1e-12)
    (one,) = experiment.claims(df[df["dtype"] == "float32"])
    assert one.verdict == "not tested here" and "both dtypes" in one.needs


def test_a_pair_is_the_same_start():
    df = frame(lambda n, i, s: 0.2 * s, n_texts=4)
    lost = (df["dtype"] == "float32") & (df["seed"] == 0)
    np.testing.assert_allclose(experiment.differences(df[~lost])[8], np.full(4, 0.2))


def test_any_part_of_the_results_is_shown():
    answers_on_subsets(experiment, frame(lambda n, i, s: -0.0001, n_texts=6, lengths=(8, 16)))


def test_computed_frame():
    df = study(load_params("precision", "smoke"))
    assert set(df["dtype"]) == set(DTYPES)
    assert list(experiment.table(df).index) == sorted(df["n_tokens"].unique())
    assert experiment.figure(df).axes
    assert set(words(experiment.claims(df)).values()) == {"not tested here"}
