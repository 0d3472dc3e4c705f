"""Throughput: ratios and crossover by hand, live timings on the tiny model."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import throughput
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study


def timings(one_pass, autoregressive, batches=(1, 8, 64), on_gpu=True, code="fast"):
    rows = [
        {
            "model": "m",
            "n_tokens": 16,
            "batch": batch,
            "way": way,
            "code": code,
            "tokens_per_second": speed,
            "seconds": 1.0,
            "spread": 0.1,
            "device": "some device",
            "on_gpu": on_gpu,
            "dtype": "bfloat16",
            "profile": "quick",
        }
        for way, speeds in (("one pass", one_pass), ("autoregressive", autoregressive))
        for batch, speed in zip(batches, speeds, strict=True)
    ]
    return pd.DataFrame(rows)


def test_ratio_is_one_pass_over_autoregressive():
    found = throughput.ratios(timings([1000, 4000, 5000], [10, 80, 500]))
    np.testing.assert_allclose(found["ratio"], [100, 50, 10])


def test_crossover_is_interpolated_on_logarithmic_axes():
    found = throughput.crossover(timings([400, 1, 1], [100, 800, 6400])).iloc[0]
    assert found["batch"] == pytest.approx(4)


def test_no_crossover_within_the_batches():
    df = timings([1e6, 1e6, 1e6], [1, 2, 3])
    assert throughput.crossover(df)["batch"].isna().all()
    assert "more than 64" in throughput.crossover_table(df).to_string()


def test_the_papers_longest_lengths():
    assert throughput.longest_published("random:pythia-160m") == 128
    assert throughput.longest_published("llama-3.1-8b") == 724
    with pytest.raises(ReproducerError, match="set lengths"):
        throughput.longest_published("smollm2-135m")


def test_lengths_must_fit_the_models():
    with pytest.raises(ReproducerError, match="one length for each of 1 models"):
        load_params("throughput", "smoke", models=["tiny"], lengths=[4, 8])


def test_verdicts_need_a_gpu():
    both = [timings([500] * 3, [1] * 3, code=code) for code in throughput.CODES]
    verdicts = throughput.claims(pd.concat(both))
    assert [v.verdict for v in verdicts] == ["reproduced"] * 2
    assert [v.ours for v in verdicts] == [500, 500]
    on_cpu = pd.concat(both).assign(on_gpu=False)
    assert {v.verdict for v in throughput.claims(on_cpu)} == {"not tested at this scale"}


def test_live_timings_on_the_tiny_model():
    params = load_params("throughput", "smoke")
    df = study(params)
    assert len(df) == 2 * (1 + len(params.batches))
    assert (df["tokens_per_second"] > 0).all()
    np.testing.assert_allclose(
        df["tokens_per_second"], df["batch"] * df["n_tokens"] / df["seconds"]
    )
    assert throughput.claims(df) == []
    again = study(params, compute=False)
    pd.testing.assert_frame_equal(df, again)
