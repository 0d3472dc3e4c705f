"""Read-out: prompts, generation against the library, measures by hand, verdicts."""

import numpy as np
import pandas as pd
import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.experiments import readout as experiment
from reproducer.experiments.profiles import load_params
from reproducer.models.sampling import write_after
from reproducer.readings.readout import ReadoutSpec, distinct, prompts
from reproducer.results.run import compute
from reproducer.results.solutions import proto_tokens


@pytest.fixture
def fits():
    return experiment.fits(load_params("readout", "smoke", max_steps=3))


def test_greedy_writing_equals_generate(tiny):
    start = torch.randn(3, 2, tiny.d_model)
    special = sorted(set(tiny.tokenizer.all_special_ids) | {tiny.bos_token_id})
    theirs = tiny.hf.generate(
        inputs_embeds=start,
        attention_mask=torch.ones(3, 2, dtype=torch.long),
        max_new_tokens=9,
        do_sample=False,
        suppress_tokens=special,
        pad_token_id=0,
    )
    assert torch.equal(write_after(tiny, start, 9, [0] * 3, temperature=0), theirs)


def test_a_row_does_not_depend_on_its_neighbours(tiny):
    start = torch.randn(3, 1, tiny.d_model)
    together = write_after(tiny, start, 8, [5, 6, 7])
    alone = write_after(tiny, start[1:2], 8, [6])
    assert torch.equal(together[1:2], alone)


def test_prompts_are_made_of_the_solution(tiny, fits):
    results = compute(fits, progress=False)
    e, m = proto_tokens(fits[1], results[1])[0]
    found = prompts(tiny, fits, "BOS e m")[1]
    bos = tiny.embed(torch.tensor(tiny.bos_token_id))
    torch.testing.assert_close(found, torch.stack([bos, e, m]))
    text = prompts(tiny, fits, "BOS text")[1, 1:]
    torch.testing.assert_close(text, tiny.embed(torch.tensor(fits[1].texts[0].tokens)))


def test_an_unknown_prompt_is_refused(fits):
    with pytest.raises(ValueError, match="prompt"):
        ReadoutSpec(model="tiny", fits=tuple(fits), prompt="m e", n_new_tokens=3)


def test_distinct_n_by_hand():
    assert distinct([1, 2, 1, 2], 1) == 0.5
    assert distinct([1, 2, 1, 2], 2) == pytest.approx(2 / 3)
    assert distinct([1], 2) == 1.0


def test_others_are_all_but_the_diagonal():
    own, others = experiment.own_and_others(np.array([[1.0, 0.2, 0.4], [0, 2, 4], [3, 5, 3]]))
    assert own.tolist() == [1, 2, 3]
    assert others.tolist() == pytest.approx([0.3, 2, 4])


def test_live_run_on_the_tiny_model():
    params = load_params("readout", "smoke", max_steps=3)
    df = experiment.collect(params)
    assert len(df) == params.n_texts * 8 * 2
    np.testing.assert_allclose(df["text_gain"], df["text_own"] - df["text_others"])
    assert df[["distinct_1", "distinct_2"]].stack().between(0, 1).all()
    assert len(experiment.examples(df, n_texts=1)) == 16
    assert experiment.claims(df) == []
    pd.testing.assert_frame_equal(df, experiment.collect(params, compute_missing=False))


def test_reading_the_store_computes_nothing():
    params = load_params("readout", "smoke")
    assert experiment.collect(params, compute_missing=False).empty
    assert [spec.kind for spec in experiment.specs(params)] == ["fit"] * params.n_texts


def test_too_few_accurate_fits_are_told():
    strict = load_params("readout", "smoke", min_accuracy=1.0, max_steps=1)
    with pytest.raises(ReproducerError, match="at least 2 fits of accuracy 1"):
        experiment.collect(strict)


def gains(trained, control):
    rows = [
        (str(i), prompt, gain + 0.01 * i)
        for i in range(5)
        for prompt, gain in (("e", trained), ("m", trained), ("BOS text", control))
    ]
    df = pd.DataFrame(rows, columns=["text", "prompt", "text_gain"])
    return df.assign(model="smollm2-135m", profile="quick")


def test_verdict_needs_a_control_that_can_tell():
    (unrelated,) = experiment.claims(gains(0.0, 0.5))
    assert (unrelated.verdict, unrelated.n) == ("reproduced", 5)
    assert experiment.claims(gains(0.4, 0.5))[0].verdict == "not reproduced"
    assert experiment.claims(gains(0.0, 0.0))[0].verdict == "not tested at this scale"
