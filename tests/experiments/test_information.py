"""One pass against autoregressive decoding: pairs, the decoding check, the verdicts."""

import pandas as pd
import pytest
import torch

from reproducer.experiments import information
from reproducer.experiments.profiles import load_params
from reproducer.results.run import cached_lm, compute
from reproducer.results.specs import Spec
from reproducer.results.store import Result

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("experiment_information")


@pytest.fixture(scope="module")
def made_up():
    """Twelve texts; decoding holds twice what a pass holds, untrained weights almost nothing."""
    holds = {"shared m": 8, "1 mem": 16, "own m": 16, "2 mem": 32}
    rows = [
        (model, way, f"t{t}", tokens if model == "smollm2-135m" else 1)
        for model in ("smollm2-135m", "random:smollm2-135m")
        for way, tokens in holds.items()
        for t in range(12)
    ]
    df = pd.DataFrame(rows, columns=["model", "way", "text", "held_tokens"])
    same = {"source": "unseen", "profile": "smollm2", "n_tokens": 64}
    return df.assign(
        **same, h_lm_nats=2.5 * df["held_tokens"], control=df["model"].str.startswith("random:")
    )


def test_smoke(tiny):
    params = load_params("information", "smoke")
    assert information.collect(params, compute_missing=False).empty
    df = information.collect(params)
    assert len(df) == 2 * 4 * params.n_texts
    assert set(df["way"]) == set(information.WAYS)
    assert df.groupby("model")["control"].first().to_dict() == {"tiny": False, "random:tiny": True}
    assert (df["c_tokens"] <= df["held_tokens"]).all()
    pd.testing.assert_frame_equal(df, information.collect(params, compute_missing=False))
    assert information.claims(df) == []
    assert len(information.figure(df).axes) == 2
    assert len(information.table(df)) == 2
    assert set(information.control_table(df).columns.get_level_values(0)) == {
        "trained",
        "untrained",
    }


def test_decoding_that_goes_astray_shortens_what_is_held(tiny):
    params = load_params("information", "smoke", lengths=[1, 2, 4])
    settings = information.settings(params, "tiny", ("2 mem",))
    texts = [text.id for text in settings[0].texts]
    zero = dict.fromkeys(("c_tokens", "h_lm_nats", "characters", "bits_per_character"), 0.0)
    held = pd.DataFrame({"text": texts, "held_tokens": 4}).assign(**zero)

    def astray(specs: list[Spec]) -> list[Result]:
        if specs[0].kind != "greedy":
            return compute(specs, progress=False)
        correct = torch.tensor([[True, True, False, True], [False, True, True, True]])
        return [Result(specs[0].key, {}, {}, {"correct": correct})]

    checked = information.decoded(held, settings[0], params.lengths, astray)
    assert checked["held_tokens"].tolist() == [2, 0]
    assert checked["c_tokens"].tolist() == [2, 0]
    assert checked["greedy_accuracy"].tolist() == [0.75, 0.75]
    assert checked["h_lm_nats"].iloc[1] == 0 < checked["h_lm_nats"].iloc[0]


def test_verdicts_follow_the_numbers(made_up):
    found = {v.id: v for v in information.claims(made_up)}
    assert found["A4.ratio-1"].ours == found["A4.ratio-2"].ours == pytest.approx(2.0)
    assert {v.verdict for v in found.values()} == {"reproduced"}
    assert found["A4.control"].ours == pytest.approx(1 / 16)
    equal = made_up.assign(held_tokens=16, h_lm_nats=40.0)
    found = {v.id: v.verdict for v in information.claims(equal)}
    assert found["A4.control"] == "not reproduced"
    at_the_end = made_up.assign(n_tokens=made_up["held_tokens"])
    assert {v.verdict for v in information.claims(at_the_end)} == {"not tested at this scale"}
    nothing = made_up.assign(held_tokens=0, h_lm_nats=0.0)
    assert {v.ours for v in information.claims(nothing)} == {None}


def test_table_states_ratio_and_interval(made_up):
    table = information.table(made_up).set_index("autoregressive")
    assert table.loc["1 mem", "ratio of nats"] == "2.00 (2.00 … 2.00)"
    assert table.loc["2 mem", "tokens, one pass"] == "16.0"
    nothing = information.table(made_up.assign(h_lm_nats=0.0)).set_index("autoregressive")
    assert nothing.loc["1 mem", "ratio of nats"] == "– (– … –)"


def test_controls_are_models_of_the_same_shape():
    trained, untrained = cached_lm("tiny").config, cached_lm("random:tiny").config
    assert trained.hidden_size == untrained.hidden_size
