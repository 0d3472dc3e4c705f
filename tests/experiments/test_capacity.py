"""Capacity: both strategies, the table, the verdicts, bad parameters."""

import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import capacity
from reproducer.experiments.profiles import load_params

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("experiment_capacity")


@pytest.fixture(scope="module")
def made_up():
    """Twelve texts a source, tried at 8, 16 and 32; natural ones hold 16, random words 8."""
    rows = []
    for source, holds in (("unseen", 16), ("seen", 16), ("random", 8)):
        for way in ("own m", "shared m"):
            for t in range(12):
                for n in (8, 16, 32):
                    came_back = n <= holds or (t == 0 and n == 16)
                    rows.append((source, way, f"{source}-{t}", n, came_back))
    df = pd.DataFrame(rows, columns=["source", "way", "text", "n_tokens", "came_back"])
    same = {"model": "llama-3.2-1b", "strategy": "grid", "profile": "smollm2", "steps": 100}
    accuracy = df["came_back"].map({True: 1.0, False: 0.5})
    return df.assign(
        **same,
        accuracy=accuracy,
        c_tokens=accuracy * df["n_tokens"],
        h_lm_nats=3.0 * df["n_tokens"],
        characters=4 * df["n_tokens"],
        bits_per_character=1.1,
    )


def verdicts(df):
    return {v.id: v for v in capacity.claims(df)}


def test_smoke(tiny):
    params = load_params("capacity", "smoke")
    nothing = capacity.collect(params, compute_missing=False)
    assert nothing.empty and capacity.strategies(nothing).empty and capacity.claims(nothing) == []
    first_round = len(capacity.specs(params))
    df = capacity.collect(params)
    assert (df["c_tokens"] <= df["n_tokens"]).all()
    assert set(df["strategy"]) == {"grid", "bisect"}
    assert len(capacity.specs(params)) > first_round
    pd.testing.assert_frame_equal(df, capacity.collect(params, compute_missing=False))
    assert capacity.claims(df) == []
    assert len(capacity.figure(df).axes) == 2
    assert set(capacity.table(df).index.get_level_values(0)) == {"own m", "shared m"}


def test_whole_grid_tries_all_lengths(tiny):
    params = load_params("capacity", "smoke", strategy="grid", ways=["own m"], sources=["unseen"])
    df = capacity.collect(params)
    assert len(df) == params.n_texts * len(params.lengths)
    assert len(capacity.strategies(df)) == 1


def test_strategies_agree_where_success_is_monotone(made_up):
    found = capacity.strategies(made_up)
    assert (found["agree"] == found["texts"]).all()
    # Three lengths: the middle one first, then one more on either side.
    assert (found["fits, bisect"] == 2 * 12).all() and (found["fits, grid"] == 3 * 12).all()


def test_strategies_disagree_where_it_is_not(made_up):
    gap = made_up.copy()
    one = (gap["text"] == "unseen-3") & (gap["way"] == "own m")
    gap.loc[one, "came_back"] = gap.loc[one, "n_tokens"].map({8: True, 16: False, 32: True})
    found = capacity.strategies(gap).set_index(["source", "way"])
    assert found.loc[("unseen", "own m"), "agree"] == 11


def test_table_has_the_maximum_and_the_distribution(made_up):
    ours = capacity.table(made_up)["ours (llama-3.2-1b)"]
    assert ours.loc[("own m", "random words"), "longest"] == "16"
    assert ours.loc[("own m", "random words"), "tokens"] == "8.7 ± 2.2"
    assert ours.loc[("own m", "unseen"), "nats"] == "48.0 ± 0.0"
    paper = capacity.table(made_up)["paper: longest; nats", "llama-3.2-1b"]
    assert paper["own m", "seen"] == "362; 994 ± 183"


def test_verdicts_of_one_model(made_up):
    found = verdicts(made_up)
    assert found["A3.natural"].verdict == found["A3.random"].verdict == "reproduced"
    assert found["A3.random"].ours == pytest.approx((11 * 8 + 16) / 12 / 16)
    for family in ("llama", "pythia"):
        assert found[f"A3.size-{family}"].verdict == "not tested at this scale"
    no_random = made_up[made_up["source"] != "random"]
    assert verdicts(no_random)["A3.random"].verdict == "not tested at this scale"


def test_verdicts_of_two_models(made_up):
    smaller = made_up.assign(model="llama-3.2-1b")
    larger = made_up.assign(model="llama-3.2-3b")
    smaller["came_back"] &= smaller["n_tokens"] <= 8
    assert verdicts(pd.concat([larger, smaller]))["A3.size-llama"].verdict == "reproduced"
    swapped = pd.concat([larger.assign(model="llama-3.2-1b"), smaller.assign(model="llama-3.2-3b")])
    assert verdicts(swapped)["A3.size-llama"].verdict == "not reproduced"


def test_texts_that_hold_the_longest_length_carry_no_verdict(made_up):
    short = made_up[made_up["n_tokens"] <= 16]
    assert verdicts(short)["A3.natural"].verdict == "not tested at this scale"


def test_empty_grid_and_texts_too_short():
    with pytest.raises(ReproducerError, match="parameter lengths of 'capacity'.*at least 1 item"):
        load_params("capacity", "smoke", lengths=[])
    with pytest.raises(ReproducerError, match="lengths of at least 1, got 0"):
        load_params("capacity", "smoke", lengths=[0, 4])
    params = load_params("capacity", "smoke", n_texts=50, sources=["seen"], lengths=[100_000])
    with pytest.raises(ReproducerError, match="longest usable length for 50 texts is"):
        capacity.specs(params)
