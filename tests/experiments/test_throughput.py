"""Throughput: ratios and crossings by hand, verdicts on planted timings, live timings on tiny."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import throughput as experiment
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study
from reproducer.results.known import Known
from reproducer.results.specs import Result
from tests.experiments.checks import answers_on_subsets, words

LENGTHS = {
    "pythia-160m": 128,
    "random:pythia-410m": 181,
    "pythia-1.4b": 131,
    "llama-3.2-1b": 362,
    "llama-3.2-3b": 512,
    "llama-3.1-8b": 724,
}


def timings(one_pass, autoregressive, batches=(1, 8, 64), model="m", n_tokens=16, code="fast"):
    """A frame as `rows` gives, with the tokens a second of both ways for each batch."""
    rows = [
        {
            "model": model,
            "n_tokens": n_tokens,
            "batch": batch,
            "way": way,
            "code": code,
            "tokens_per_second": speed,
            "seconds": 1.0,
            "spread": 0.1,
            "device": "some device",
            "on_gpu": True,
            "dtype": "bfloat16",
            "profile": "quick",
        }
        for way, speeds in (("one pass", one_pass), ("autoregressive", autoregressive))
        for batch, speed in zip(batches, speeds, strict=True)
    ]
    return pd.DataFrame(rows)


def papers_models(ratio, lengths=LENGTHS):
    """Both codes on the paper's models, where `ratio(number, code)` is the answer."""
    frames = [
        timings([10 * ratio(i, code)], [10], (1,), model, n_tokens, code)
        for i, (model, n_tokens) in enumerate(lengths.items())
        for code in experiment.CODES
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(
    ("ratio", "library", "fast"),
    [
        (lambda i, code: 279, "reproduced", "holds"),
        (lambda i, code: 10, "contradicted", "does not hold"),
        (lambda i, code: 279 if i else 10, "inconclusive", "inconclusive"),
        (lambda i, code: 279 if code == "library" else 1 / 279, "reproduced", "does not hold"),
    ],
)
def test_planted_truth(ratio, library, fast):
    verdicts = experiment.claims(papers_models(ratio))
    assert words(verdicts) == {"A5.library": library, "A5.fast": fast}
    assert [v.own for v in verdicts] == [False, True]
    assert all(v.n == 6 and v.unit == "models" and "some device" in v.claim for v in verdicts)
    mean = np.mean([ratio(i, "library") for i in range(6)])
    assert f"mean ratio {mean:.1f}" in verdicts[0].claim and "279" in verdicts[0].published


def test_a_cpu_and_short_texts_test_nothing():
    planted = papers_models(lambda i, code: 279)
    short = papers_models(lambda i, code: 279, dict.fromkeys(LENGTHS, 16))
    other = papers_models(lambda i, code: 279, {"smollm2-135m": 1000})
    for df in (planted.assign(on_gpu=False), short, other):
        verdicts = experiment.claims(df)
        assert set(words(verdicts).values()) == {"not tested here"}
        assert all("a GPU" in v.needs and "lengths" in v.needs for v in verdicts)
        assert all("mean ratio 279.0" in v.claim for v in verdicts)


def test_models_that_are_not_the_paper_s_do_not_count():
    df = papers_models(lambda i, code: 279)
    ours = papers_models(lambda i, code: 1, {f"smollm2-{i}": 1000 for i in range(9)})
    assert [v.n for v in experiment.claims(pd.concat([df, ours]))] == [6, 6]


def test_texts_decoded_together_do_not_count():
    df = papers_models(lambda i, code: 10)
    more = papers_models(lambda i, code: 279).assign(batch=8)
    assert words(experiment.claims(pd.concat([df, more])))["A5.library"] == "contradicted"


def test_ratio_is_one_pass_over_autoregressive():
    both = experiment.ratios(timings([1000, 4000, 5000], [10, 80, 500]))
    np.testing.assert_allclose(both["ratio"], [100, 50, 10])


def test_texts_decoded_together_to_match_one_pass():
    def match(*speeds):
        return experiment.crossover_table(timings(*speeds)).iloc[0, 2:].tolist()

    assert match([400, 1, 64], [100, 800, 6400]) == ["4", "0.0 at 64"]
    assert match([1e6, 1e6, 1e6], [1, 2, 1e5]) == ["more than 64", "10.0 at 64"]
    assert experiment.crossover_table(timings([1, 1], [1, 1], (8, 64))).empty


def test_the_papers_longest_lengths():
    assert experiment.longest_published("random:pythia-160m") == 128
    assert experiment.longest_published("llama-3.1-8b") == 724
    with pytest.raises(ReproducerError, match="set lengths"):
        experiment.longest_published("smollm2-135m")


def test_lengths_must_fit_the_models():
    with pytest.raises(ReproducerError, match="one length for each of 1 models"):
        load_params("throughput", "smoke", models=["tiny"], lengths=[4, 8])


def test_the_figure_draws_the_paper_s_ratio_and_tells_values_apart():
    left, right = experiment.figure(papers_models(lambda i, code: 200 + i)).axes
    assert 279 in [y for line in right.get_lines() for y in line.get_ydata()[:1]]
    places = [x for line in left.get_lines() for x in line.get_xdata()]
    assert len(set(np.round(places, 6))) == len(places) == 24
    for axis in (left, right):
        low, high = axis.get_ylim()
        assert sum(low <= tick <= high for tick in axis.get_yticks()) >= 2


def test_any_part_of_the_results_is_shown():
    df = pd.concat([papers_models(lambda i, code: 200 + i), timings([9, 8, 7], [1, 2, 9])])
    others = (experiment.crossover_table, experiment.batch_figure)
    answers_on_subsets(experiment, df.reset_index(drop=True), *others)


def test_live_timings_on_the_tiny_model():
    params = load_params("throughput", "smoke")
    df = study(params)
    assert len(df) == 2 * (1 + len(params.batches))
    assert (df["tokens_per_second"] > 0).all()
    np.testing.assert_allclose(
        df["tokens_per_second"], df["batch"] * df["n_tokens"] / df["seconds"]
    )
    assert set(words(experiment.claims(df)).values()) == {"not tested here"}
    pd.testing.assert_frame_equal(df, study(params, compute=False))


def test_timings_of_two_devices_are_never_mixed(tmp_path):
    params = load_params("throughput", "smoke")
    study(params)
    known = Known()
    first = known.get(experiment.specs(params, known)[0])
    elsewhere = first.provenance | {"device": "another"}
    known.store.put(Result(first.key, first.spec, first.metrics, first.arrays, elsewhere))
    df = study(params, compute=False)
    assert len(df) == 2 * (1 + len(params.batches)) - 1 and df["device"].nunique() == 1
    assert "another" not in set(df["device"])
