"""Training time: the parts multiply, the paper's seconds, verdicts on planted seconds, tiny."""

import numpy as np
import pandas as pd
import pytest

from reproducer.experiments import training_time as experiment
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study
from reproducer.results.known import Known
from reproducer.results.specs import Result
from tests.experiments.checks import answers_on_subsets, words


def frame(model="pythia-160m", on_gpu=True, steps=(100.0, 300.0), n_tokens=32):
    steps = np.array(steps)
    return pd.DataFrame(
        {
            "model": model,
            "n_tokens": n_tokens,
            "text": [f"t{i}" for i in range(len(steps))],
            "steps": steps,
            "solved": 1.0,
            "step_seconds": 0.03,
            "batched_step_seconds": 0.01,
            "seconds": 0.03 * steps,
            "batched_seconds": 0.01 * steps,
            "batch": 8,
            "profile": "paper",
            "recipe": "paper",
            "dtype": "bfloat16",
            "device": "some device",
            "on_gpu": on_gpu,
        }
    )


def papers(factor, n_texts=16):
    """Fits of two of the paper's models that take `factor` times its 6 and 68 seconds."""
    spread = 1 + 0.2 * (-1) ** np.arange(n_texts) + 0.001 * np.arange(n_texts)
    spread /= spread.mean()
    return pd.concat(
        frame(steps=factor * seconds / 0.03 * spread, n_tokens=n_tokens)
        for n_tokens, seconds in ((32, 6), (128, 68))
    )


@pytest.mark.parametrize(
    ("factor", "word"),
    [(0.7, "reproduced"), (1.0, "reproduced"), (3.0, "contradicted"), (1.5, "inconclusive")],
)
def test_planted_truth(factor, word):
    (verdict,) = experiment.claims(papers(factor))
    assert verdict.verdict == word and verdict.ours == pytest.approx(factor)
    assert verdict.n == 16 and verdict.unit == "texts" and "some device" in verdict.claim


def test_the_paper_s_models_on_a_gpu_are_needed():
    longer = papers(1.0).assign(n_tokens=1000)
    for df in (papers(1.0).assign(on_gpu=False), papers(1.0).assign(model="smollm2-135m"), longer):
        (verdict,) = experiment.claims(df)
        assert verdict.verdict == "not tested here" and "a GPU" in verdict.needs
    (few,) = experiment.claims(frame())
    assert few.verdict == "not tested here" and "texts" in few.needs


def test_untrained_weights_have_no_seconds_to_judge():
    timed = frame("random:llama-3.2-1b").assign(steps=np.nan, seconds=np.nan, text=np.nan)
    (verdict,) = experiment.claims(pd.concat([papers(1.0), timed]))
    assert verdict.n == 16 and verdict.verdict == "reproduced"
    (verdict,) = experiment.claims(timed)
    assert verdict.verdict == "not tested here"


def test_table_has_the_papers_seconds_for_the_architecture():
    for model in ("pythia-160m", "random:pythia-160m"):
        row = experiment.table(frame(model)).iloc[0]
        assert row["paper, seconds a fit"] == "6"
        assert row["steps in the paper's time"] == "200"
        assert row["seconds a fit, alone"] == "6.0"
    assert "paper, seconds a fit" not in experiment.table(frame("smollm2-135m"))


def test_the_figure_draws_the_paper_s_seconds_on_axes_with_ticks():
    left, right = experiment.figure(papers(1.0)).axes
    labels = [line.get_label() for line in right.get_lines()]
    assert sum(label.startswith("paper: ") for label in labels) == 6
    for axis in (left, right):
        low, high = axis.get_ylim()
        assert sum(low <= tick <= high for tick in axis.get_yticks()) >= 2


def test_any_part_of_the_results_is_shown():
    timed = frame("random:llama-3.2-1b", n_tokens=64).assign(steps=np.nan, seconds=np.nan)
    answers_on_subsets(experiment, pd.concat([papers(1.0, 4), timed]), pd_note)


def pd_note(df):
    return pd.DataFrame({"note": [experiment.note(df)]})


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
    for timing in Known().all(experiment.steps(params, "tiny")):
        n_tokens, batch = timing.spec["n_tokens"], timing.spec["batch"]
        column = "step_seconds" if batch == 1 else "batched_step_seconds"
        share = fitted.loc[fitted["n_tokens"] == n_tokens, column]
        np.testing.assert_allclose(share, timing.metrics["seconds"] / batch)
    assert "seconds a fit" in experiment.table(df).to_string()
    assert words(experiment.claims(df)) == {"A6.seconds": "not tested here"}
    pd.testing.assert_frame_equal(df, study(params, compute=False))


def test_timings_of_two_devices_are_never_mixed():
    params = load_params("training_time", "smoke")
    study(params)
    known = Known()
    steps = experiment.steps(params, "tiny")
    first = known.get(steps[0])  # alone, at the shortest length
    elsewhere = first.provenance | {"device": "another"}
    known.store.put(Result(first.key, first.spec, first.metrics, first.arrays, elsewhere))
    df = study(params, compute=False)
    assert set(df["n_tokens"]) == {max(params.lengths)}
    assert "another" not in set(df["device"])
