"""Connectivity: which pairs are joined, what is left out, and the verdicts."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import connectivity
from reproducer.experiments.profiles import load_params


def test_all_pairs_of_a_text_and_no_others():
    params = load_params("connectivity", "smoke", n_seeds=3, max_steps=3, curve_steps=3)
    df = connectivity.collect(params)
    pairs = df.groupby("text")["pair"].nunique()
    assert pairs.tolist() == [3, 3]
    assert len(df) == 2 * 3 * 2 * params.n_points
    assert (df["stretch"] >= 1).all()
    assert connectivity.claims(df) == []
    pd.testing.assert_frame_equal(df, connectivity.collect(params, compute_missing=False))
    kinds = [spec.kind for spec in connectivity.specs(params)]
    assert kinds == ["fit"] + ["curve"] * 6 + ["path"] * 6


def test_own_tokens_have_a_fit_for_each_solution():
    params = load_params("connectivity", "smoke", share="none")
    assert len(connectivity.fits(params)) == params.n_texts * params.n_seeds


def test_reading_the_store_computes_nothing():
    assert connectivity.collect(load_params("connectivity", "smoke"), compute_missing=False).empty


def test_unsolved_fits_are_left_out_and_none_left_is_told():
    strict = load_params("connectivity", "smoke", min_accuracy=1.0)
    with pytest.raises(ReproducerError, match="two solutions of accuracy 1"):
        connectivity.collect(strict)


def test_one_seed_is_refused():
    with pytest.raises(ReproducerError, match="n_seeds"):
        load_params("connectivity", "smoke", n_seeds=1)


def some_paths(straight=0.2, curved=1.0, stretch=1.1, n_texts=4, curve_steps=1000):
    t = np.linspace(0, 1, 5)
    dip = 4 * t * (1 - t)
    frames = [
        pd.DataFrame(
            {"t": t, "accuracy": 1 - (1 - low) * dip, "path": name, "text": text, "pair": text}
        )
        for text in map(str, range(n_texts))
        for name, low in (("straight", straight), ("curved", curved))
    ]
    return pd.concat(frames).assign(
        stretch=stretch, model="smollm2-135m", profile="quick", curve_steps=curve_steps
    )


def test_lowest_accuracy_and_verdicts():
    df = some_paths()
    assert connectivity.lowest(df)["straight"].tolist() == pytest.approx([0.2] * 4)
    assert [v.verdict for v in connectivity.claims(df)] == ["reproduced"] * 3
    opposite = connectivity.claims(some_paths(straight=1.0, curved=0.3, stretch=2.0))
    assert [v.verdict for v in opposite] == ["not reproduced"] * 3
    few = connectivity.claims(some_paths(n_texts=2))
    assert {v.verdict for v in few} == {"not tested at this scale"}


def test_unfinished_curves_are_not_judged():
    outcomes = [v.verdict for v in connectivity.claims(some_paths(curve_steps=100))]
    assert outcomes == ["reproduced", *["not tested at this scale"] * 2]
