"""A10: what is written and compared, and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import readout
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study, wanted
from reproducer.models.card import model_card
from reproducer.results.known import Known
from reproducer.texts.sentence_encoder import encode
from tests.experiments.checks import answers_on_subsets, words


def test_a_run_compares_what_is_written_with_own_and_other_texts():
    params = load_params("readout", "smoke", max_steps=3, temperatures=[1.0])
    df = study(params)
    assert len(df) == params.n_texts * 8
    assert df[["distinct_1", "distinct_2"]].stack().between(0, 1).all()
    assert len(readout.examples(df, n_texts=1)) == 8
    assert set(words(readout.claims(df)).values()) == {"not tested here"}
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    of_e = df[df["prompt"] == "e"]
    written, own = (encode(of_e[c].to_list()).numpy() for c in ("generated", "wanted"))
    cosines = written @ own.T
    np.testing.assert_allclose(of_e["text_own"], cosines.diagonal(), atol=1e-5)
    others = cosines[~np.eye(len(own), dtype=bool)].mean()
    assert of_e["text_gain"].mean() == pytest.approx(cosines.diagonal().mean() - others, abs=1e-5)
    kinds = [spec.kind for spec in wanted(params, Known())]
    assert kinds == ["fit"] * 2 + ["readout"] * 8 + ["sentence_vectors"] * 10


def test_contexts_are_what_stands_before_the_text():
    params = load_params("readout", "smoke")
    texts = [fit.texts[0] for fit in readout.fits(params)]
    ends = readout._contexts(params, [text.id for text in texts])
    tokenizer = model_card("tiny").tokenizer
    assert [len(tokenizer.encode(end)) for end in ends] == [params.context_tokens] * 2
    assert len(set(ends)) == 2 and not set(ends) & {tokenizer.decode(t.tokens) for t in texts}


def test_reading_what_is_known_computes_nothing():
    params = load_params("readout", "smoke")
    assert study(params, compute=False).empty
    assert [spec.kind for spec in wanted(params, Known())] == ["fit"] * params.n_texts


def test_too_few_accurate_fits_leave_nothing_to_read():
    strict = load_params("readout", "smoke", min_accuracy=1.0, max_steps=1)
    assert study(strict).empty
    assert {spec.kind for spec in wanted(strict, Known())} == {"fit"}


@pytest.mark.parametrize(
    ("name", "value"), [("prompts", ["m e"]), ("source", "random"), ("arrangement", "[x]")]
)
def test_wrong_parameters_are_refused(name, value):
    with pytest.raises(ReproducerError, match=name):
        load_params("readout", "smoke", **{name: value})


def some_gains(e=0.0, m=0.0, control=0.5, n_texts=24, spread=0.05, control_spread=0.05, **fields):
    """Gains around a mean for each prompt, at two temperatures; text i differs alike everywhere."""
    of_text = np.random.default_rng(0).normal(size=n_texts)
    rows = []
    for prompt, gain, width in (
        ("e", e, spread),
        ("m", m, spread),
        ("BOS", 0.9, spread),
        ("BOS text", control, control_spread),
    ):
        for temperature, shift in ((0.0, -0.02), (1.0, 0.02)):
            gains = gain + shift + width * (of_text - of_text.mean())
            rows += [(prompt, temperature, f"t{i}", g) for i, g in enumerate(gains)]
    df = pd.DataFrame(rows, columns=["prompt", "temperature", "text", "text_gain"])
    columns = {"context_gain": 0.01, "text_own": 0.2, "context_own": 0.1, "distinct_1": 0.5}
    columns |= {"distinct_2": 0.6, "wanted": "a", "generated": "b", "model": "smollm2-135m"}
    columns |= {"profile": "test", "n_texts": n_texts, "n_left_out": 0, "n_tokens": 4}
    return df.assign(**columns | {"recipe": "paper", "device": "CPU"} | fields)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({}, "reproduced"),
        ({"e": -0.3, "m": 0.02}, "reproduced"),
        ({"e": 0.3, "m": 0.3}, "contradicted"),
        ({"e": 0.3}, "partly"),
        ({"m": 0.3}, "partly"),
        ({"e": 0.1, "m": 0.1}, "inconclusive"),
        # The control has to be told from unrelated with its whole interval.
        ({"control": 0.0}, "not tested here"),
        ({"control": 0.12, "control_spread": 0.3}, "not tested here"),
        ({"control": -0.5}, "not tested here"),
        ({"n_texts": 7}, "not tested here"),
        ({"model": "tiny"}, "not tested here"),
    ],
)
def test_verdicts_say_what_was_planted(planted, said):
    (verdict,) = readout.claims(some_gains(**planted))
    assert verdict.verdict == said and verdict.unit == "texts" and len(verdict.parts) == 2
    if said == "not tested here":
        assert "control" in verdict.needs or planted.get("model") == "tiny"
    else:
        assert verdict.n == 24 and -2 < verdict.low < verdict.high < 2


def test_a_frame_without_the_control_is_not_judged():
    df = some_gains()
    (verdict,) = readout.claims(df[df["prompt"] != "BOS text"])
    assert verdict.verdict == "not tested here" and "positive control" in verdict.needs


def test_temperatures_of_a_text_are_one_unit():
    (verdict,) = readout.claims(some_gains(e=0.04, m=-0.3))
    assert (verdict.n, verdict.ours) == (24, pytest.approx(0.04))


def test_views_answer_on_any_rows():
    df = some_gains(n_texts=13)
    answers_on_subsets(readout, df, readout.examples)
    table = readout.table(df)
    assert list(table.index) == [
        (t, p) for t, p in df[["temperature", "prompt"]].drop_duplicates().itertuples(index=False)
    ]
    assert table["gain, text"].iloc[0].startswith("-0.020 (")
    bars = readout.figure(df).axes[0].containers
    assert len(bars) == 2
