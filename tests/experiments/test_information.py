"""One pass against autoregressive decoding: pairs, designs, verdicts against planted truths."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import information as experiment
from reproducer.experiments.study import wanted
from reproducer.results.known import Known

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("experiment_information")

MODEL = "smollm2-135m"
WAYS = ("shared m", "1 mem", "own m", "2 mem")


def frame(ratio=2.0, n_texts=16, spread=0.4, noise=0.1, seed=0, **changes):
    """Texts that hold about 20 tokens with own m and 10 with a shared one, 2.5 nats each.

    Decoding holds `ratio` times as much. `spread` is that of the texts, `noise` that of each of
    their fits.
    """
    draw = np.random.default_rng(seed)
    size = np.exp(spread * draw.normal(size=n_texts))
    factors = {"shared m": 10, "1 mem": 10 * ratio, "own m": 20, "2 mem": 20 * ratio}
    rows = [
        (MODEL, way, f"t{t}", factor * of_text * np.exp(noise * draw.normal()))
        for way, factor in factors.items()
        for t, of_text in enumerate(size)
    ]
    df = pd.DataFrame(rows, columns=["model", "way", "text", "held_tokens"])
    mem = df["way"].str.endswith("mem")
    same = {"source": "unseen", "profile": "test", "n_tokens": 4000, "first_nats": 7.0}
    return df.assign(
        **same,
        h_lm_nats=2.5 * df["held_tokens"],
        first=mem.map({True: "bos", False: ""}),
        init=mem.map({True: "embeddings", False: ""}),
        greedy_accuracy=mem.map({True: 0.7, False: np.nan}),
    ).assign(**changes)


def verdict(df, claim):
    return {v.id: v for v in experiment.claims(df)}[claim]


def test_smoke(tiny):
    params = load_params("information", "smoke")
    assert study(params, compute=False).empty
    assert experiment.claims(study(params, compute=False)) == []
    df = study(params)
    # Two ways in one pass, two designs of each of two autoregressive ones.
    assert len(df) == (2 + 2 * 2) * params.n_texts
    assert set(df["way"]) == set(WAYS)
    assert (df["c_tokens"] <= df["held_tokens"]).all()
    held = df[df["way"].str.endswith("mem") & (df["held_tokens"] > 0)]
    assert len(held) and held["greedy_accuracy"].between(0, 1).all()
    assert (held["greedy_tokens"] <= held["held_tokens"]).all()
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    assert all(spec in Known() for spec in wanted(params, Known()))
    assert {v.verdict for v in experiment.claims(df)} == {"not tested here"}
    assert len(experiment.figure(df).axes) == 2
    assert len(experiment.table(df)) == 2 * 2


@pytest.mark.parametrize("vectors", ["1", "2"])
@pytest.mark.parametrize(
    ("ratio", "noise", "expected"),
    [
        (2.0, 0.1, "reproduced"),
        (1.0, 0.1, "contradicted"),
        (0.5, 0.1, "contradicted"),
        (8.0, 0.1, "contradicted"),
        (1.3, 0.8, "inconclusive"),
    ],
)
def test_decoding_holds_more(vectors, ratio, noise, expected):
    df = frame(ratio, noise=noise)
    found = verdict(df, f"A4.ratio-{vectors}")
    assert found.verdict == expected and found.n == 16 and found.unit == "texts"
    assert noise > 0.1 or found.ours == pytest.approx(ratio, rel=0.1)
    assert found.model == MODEL and not found.own


def test_each_ratio_is_of_its_own_pair():
    df = frame()
    lower = df["way"] == "2 mem"
    df.loc[lower, ["held_tokens", "h_lm_nats"]] /= 3
    assert verdict(df, "A4.ratio-1").verdict == "reproduced"
    assert verdict(df, "A4.ratio-2").verdict == "contradicted"


def test_what_is_compared_are_nats():
    df = frame(2.0)
    df.loc[df["way"].str.endswith("mem"), "h_lm_nats"] /= 2
    assert verdict(df, "A4.ratio-2").verdict == "contradicted"
    assert verdict(df, "A4.ratio-2").ours == pytest.approx(1, rel=0.1)


def test_texts_are_paired():
    """Texts differ tenfold, a text's two fits hardly."""
    df = frame(1.5, spread=1.2, noise=0.05)
    assert verdict(df, "A4.ratio-2").verdict == "reproduced"
    mixed = df["way"] == "2 mem"
    df.loc[mixed, "text"] = df.loc[mixed, "text"].to_numpy()[::-1]
    assert verdict(df, "A4.ratio-2").verdict == "inconclusive"


def test_a_text_on_two_models_is_one_unit():
    df = frame(n_texts=10)
    both = pd.concat([df, df.assign(model="llama-3.2-1b")])
    assert verdict(both, "A4.ratio-2").n == 10


def test_the_verdict_is_about_bos_and_the_spread_of_embeddings():
    for change in ({"first": "t1"}, {"first": "mem"}, {"init": "recipe"}):
        df = frame()
        mem = df["way"].str.endswith("mem")
        df = df.assign(**{k: df[k].where(~mem, v) for k, v in change.items()})
        found = verdict(df, "A4.ratio-2")
        assert found.verdict == "not tested here" and "BOS" in found.needs
    # Another design beside it changes nothing.
    beside = df[mem].assign(held_tokens=1, h_lm_nats=2.5)
    assert verdict(pd.concat([frame(), beside]), "A4.ratio-2") == verdict(frame(), "A4.ratio-2")


@pytest.mark.parametrize(
    ("factor", "noise", "expected"),
    [(4, 0.1, "holds"), (1, 0.1, "does not hold"), (2, 0.8, "inconclusive")],
)
def test_a_start_that_holds_one_mem_back(factor, noise, expected):
    df = frame(noise=noise)
    one = df[df["way"] == "1 mem"]
    other = frame(noise=noise, seed=1)["h_lm_nats"][df["way"] == "1 mem"].to_numpy()
    beside = one.assign(init="recipe", h_lm_nats=factor * (one["h_lm_nats"] + other) / 2)
    both = pd.concat([df, beside], ignore_index=True)
    found = verdict(both, "A4.start")
    assert found.verdict == expected and found.own and found.n == 16
    assert verdict(both, "A4.ratio-1") == verdict(df, "A4.ratio-1")
    assert verdict(df, "A4.start").verdict == "not tested here"
    full = both.assign(n_tokens=both["n_tokens"].where(both["init"] != "recipe", 1))
    assert verdict(full, "A4.start").verdict == "not tested here"


def test_a_given_first_token_counts_on_neither_side():
    df = frame()
    df["first"] = df["first"].replace("bos", "t1")
    df.loc[df["text"] == "t0", ["held_tokens", "h_lm_nats"]] = 0
    pair = experiment.PAIRS[1]
    both = experiment.paired(df, pair, "t1", "embeddings")
    for way, side in zip(pair, experiment.SIDES, strict=True):
        of_way = df[df["way"] == way].set_index("text")
        expected = (of_way["h_lm_nats"] - 7).where(of_way["held_tokens"] > 0, 0)
        got = both["nats", side].droplevel([0, 1])
        pd.testing.assert_series_equal(got, expected.loc[got.index], check_names=False)
        assert (both["n_tokens", side] == 3999).all()


@pytest.mark.parametrize("way", WAYS)
def test_texts_at_the_end_of_the_grid_carry_no_verdict(way):
    df = frame()
    of_way = df["way"] == way
    two, one = (of_way & df["text"].isin([f"t{i}" for i in range(n)]) for n in (2, 1))
    claims = {"A4.ratio-1"} if way in experiment.PAIRS[0] else {"A4.ratio-2"}
    for chosen, expected in ((one, {"A4.start"}), (two, claims | {"A4.start"})):
        cut = df.assign(n_tokens=df["n_tokens"].where(~chosen, df["held_tokens"]))
        silent = {v.id for v in experiment.claims(cut) if v.verdict == "not tested here"}
        assert silent == expected


def test_table_states_ratio_interval_and_what_decoding_returns():
    table = experiment.table(frame(noise=0, spread=0.4)).set_index("one pass")
    assert table.loc["own m", "ratio of nats"] == "2.00"  # the same in every text: no interval
    table = experiment.table(frame()).set_index("one pass")
    assert table.loc["own m", "ratio of nats"].startswith("1.9") or (
        table.loc["own m", "ratio of nats"].startswith("2.0")
    )
    assert " … " in table.loc["own m", "ratio of nats"]
    assert table.loc["own m", "greedy"] == "70%" and table.loc["own m", "texts"] == 16
    nothing = experiment.table(frame(h_lm_nats=0.0)).set_index("one pass")
    assert nothing.loc["own m", "ratio of nats"] == "–"


@pytest.mark.parametrize("n_rows", [0, 1, 2, 5, 20, 64])
def test_whatever_is_there_is_shown(n_rows):
    for seed in range(3):
        some = frame(seed=seed).sample(n_rows, random_state=seed).sort_index()
        experiment.claims(some)
        experiment.figure(some)
        cells = experiment.table(some).to_numpy().ravel().tolist()
        assert not any(mark in str(cell) for cell in cells for mark in ("nan", "inf", "-0.0"))


def test_one_token_cannot_be_held_where_it_is_given():
    with pytest.raises(ReproducerError, match="lengths of at least 2 where t_1 is given"):
        load_params("information", "smoke", lengths=[1, 2])


def test_mem_vectors_may_have_a_recipe_of_their_own():
    starts = {"inits": ["embeddings", "recipe"], "mem_recipe": "mem"}
    recipes = {
        (spec.init if spec.kind.startswith("mem") else "one pass", spec.recipe.name)
        for spec in wanted(load_params("information", "smoke", **starts), Known())
        if hasattr(spec, "recipe")
    }
    assert recipes == {("embeddings", "mem"), ("recipe", "paper"), ("one pass", "paper")}
    with pytest.raises(ReproducerError, match="mem_recipe"):
        load_params("information", "smoke", mem_recipe="none")
