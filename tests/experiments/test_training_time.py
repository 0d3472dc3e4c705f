"""Training time: the parts multiply, the paper's numbers are found, a live run on tiny."""

import numpy as np
import pandas as pd
import pytest

from reproducer.experiments import training_time
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study


def frame(model="pythia-160m", on_gpu=True, steps=(100.0, 300.0)):
    return pd.DataFrame(
        {
            "model": model,
            "n_tokens": 32,
            "text": [f"t{i}" for i in range(len(steps))],
            "steps": steps,
            "solved": 1.0,
            "recorded_seconds": 1.0,
            "step_seconds": 0.03,
            "batched_step_seconds": 0.01,
            "seconds": 0.03 * np.array(steps),
            "batched_seconds": 0.01 * np.array(steps),
            "batch": 8,
            "profile": "paper",
            "dtype": "bfloat16",
            "device": "some device",
            "on_gpu": on_gpu,
        }
    )


def test_table_finds_the_papers_seconds_for_the_architecture():
    for model in ("pythia-160m", "random:pythia-160m"):
        row = training_time.table(frame(model)).iloc[0]
        assert row["paper, seconds a fit"] == 6
        assert row["steps in the paper's time"] == 200
        assert row["seconds a fit, alone"] == 6.0


def test_verdict_is_the_ratio_to_the_paper_and_needs_a_gpu():
    (verdict,) = training_time.claims(frame())
    assert verdict.ours == pytest.approx(1.0)
    assert verdict.verdict in ("reproduced", "partly")
    (on_cpu,) = training_time.claims(frame(on_gpu=False))
    assert on_cpu.verdict == "not tested at this scale"
    (other,) = training_time.claims(frame("smollm2-135m"))
    assert (other.ours, other.verdict) == (None, "not tested at this scale")


def test_live_run_multiplies_steps_and_seconds():
    params = load_params("training_time", "smoke", models=["tiny", "random:tiny"])
    df = study(params)
    fitted = df[df["model"] == "tiny"]
    assert len(fitted) == params.n_texts * len(params.lengths)
    assert (fitted["steps"] <= params.max_steps).all()
    np.testing.assert_allclose(fitted["seconds"], fitted["steps"] * fitted["step_seconds"])
    untrained = df[df["model"] == "random:tiny"]
    assert len(untrained) == len(params.lengths)
    assert untrained["steps"].isna().all()
    assert (df["step_seconds"] > 0).all()
    assert "seconds a fit" in training_time.table(df).to_string()
    assert training_time.claims(df) == []
    pd.testing.assert_frame_equal(df, study(params, compute=False))
