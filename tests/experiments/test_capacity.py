"""Capacity: both strategies, the table, the verdicts against planted truths."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import capacity as experiment
from reproducer.experiments.study import wanted
from reproducer.results.known import Known

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("experiment_capacity")

GRID = [4, 5, 8, 11, 16, 22, 32, 45, 64]
SMALL, LARGE = "llama-3.2-1b", "llama-3.2-3b"


def frame(holds, n_texts=16, model=SMALL, grid=GRID, seed=0, spread=0.3):
    """Trials of the whole grid; `holds` maps sources to the length that their texts hold.

    Every text holds that length times e^(spread · normal).
    """
    draw = np.random.default_rng(seed)
    rows = []
    for source, length in holds.items():
        capacities = length * np.exp(spread * draw.normal(size=n_texts))
        rows += [
            (source, way, f"{source}-{t}", n, bool(n <= capacity))
            for way in ("own m", "shared m")
            for t, capacity in enumerate(capacities)
            for n in grid
        ]
    df = pd.DataFrame(rows, columns=["source", "way", "text", "n_tokens", "came_back"])
    accuracy = df["came_back"].map({True: 1.0, False: 0.5})
    same = {"model": model, "strategy": "grid", "profile": "test", "first": "", "init": ""}
    return df.assign(
        **same,
        steps=100,
        accuracy=accuracy,
        c_tokens=accuracy * df["n_tokens"],
        h_lm_nats=3.0 * df["n_tokens"],
        characters=4 * df["n_tokens"],
        bits_per_character=1.1,
    )


def word(df, claim):
    return {v.id: v.verdict for v in experiment.claims(df)}[claim]


def test_smoke(tiny):
    params = load_params("capacity", "smoke")
    nothing = study(params, compute=False)
    assert nothing.empty and experiment.strategies(nothing).empty
    assert experiment.claims(nothing) == []
    first_round = len(wanted(params, Known()))
    df = study(params)
    assert (df["c_tokens"] <= df["n_tokens"]).all()
    assert set(df["strategy"]) == {"grid", "bisect"}
    assert len(wanted(params, Known())) > first_round
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    assert {v.verdict for v in experiment.claims(df)} == {"not tested here"}
    assert len(experiment.figure(df).axes) == 2
    assert set(experiment.table(df).index.get_level_values(0)) == {"own m", "shared m"}


def test_whole_grid_tries_all_lengths(tiny):
    params = load_params("capacity", "smoke", strategy="grid", ways=["own m"], sources=["unseen"])
    df = study(params)
    assert len(df) == params.n_texts * len(params.lengths)
    assert len(experiment.strategies(df)) == 1


def test_strategies_agree_where_success_is_monotone():
    compared = experiment.strategies(frame({"unseen": 16, "random": 8}))
    assert len(compared) == 4
    assert (compared["agree"] == compared["texts"]).all()
    assert (compared["fits, grid"] == len(GRID) * 16).all()
    assert (compared["fits, bisect"] <= 4 * 16).all()


def test_strategies_disagree_where_it_is_not():
    gap = frame({"unseen": 16}, spread=0)
    one = (gap["text"] == "unseen-3") & (gap["way"] == "own m")
    gap.loc[one, "came_back"] = gap.loc[one, "n_tokens"].isin([4, 64])
    compared = experiment.strategies(gap).set_index(["source", "way"])
    assert compared.loc[("unseen", "own m"), "agree"] == 15


def test_table_has_the_maximum_and_the_distribution():
    df = frame({"unseen": 16, "random": 8}, n_texts=12, spread=0)
    longer = (df["text"] == "random-0") & (df["n_tokens"] <= 16)
    df.loc[longer, "came_back"] = True
    ours = experiment.table(df)[f"ours ({SMALL})"]
    assert ours.loc[("own m", "random words"), "longest"] == "16"
    assert ours.loc[("own m", "random words"), "tokens"] == "8.7\u00a0±\u00a02.2"
    assert ours.loc[("own m", "unseen"), "nats"] == "48.0\u00a0±\u00a00.0"
    paper = experiment.table(df)["paper: longest; nats", SMALL]
    assert paper["own m", "seen"] == "362; 994 ± 183"
    assert ours.loc[("own m", "seen"), "tokens"] == "–"


@pytest.mark.parametrize(
    ("random", "natural", "n_texts", "expected"),
    [
        (10, 20, 24, "reproduced"),
        (20, 20, 48, "contradicted"),
        (20, 10, 24, "contradicted"),
        (17, 20, 12, "inconclusive"),
    ],
)
def test_random_words_are_worse(random, natural, n_texts, expected):
    df = frame({"unseen": natural, "random": random}, n_texts)
    (verdict,) = [v for v in experiment.claims(df) if v.id == "A3.random"]
    assert verdict.verdict == expected and verdict.n == n_texts and verdict.unit == "texts"
    held = {
        source: of_source[of_source["came_back"]].groupby("text")["n_tokens"].max().sum() / n_texts
        for source, of_source in df[df["way"] == "own m"].groupby("source")
    }
    assert verdict.ours == pytest.approx(held["random"] / held["unseen"])


def test_random_words_are_worse_from_half_a_step_of_the_grid_on():
    df = frame({"unseen": 18, "random": 14}, 96, spread=0.2)
    assert word(df, "A3.random") == "reproduced"


def test_random_words_are_set_against_all_natural_text():
    df = frame({"unseen": 20, "seen": 20, "random": 10}, 24)
    assert word(df, "A3.random") == "reproduced"
    assert word(df[df["source"] != "unseen"], "A3.random") == "reproduced"
    assert word(df[df["source"] != "random"], "A3.random") == "not tested here"


@pytest.mark.parametrize(
    ("unseen", "seen", "n_texts", "expected"),
    [
        (16, 16, 32, "reproduced"),
        (10, 25, 24, "contradicted"),
        (25, 10, 24, "contradicted"),
        (16, 22, 12, "inconclusive"),
    ],
)
def test_natural_sources_are_alike(unseen, seen, n_texts, expected):
    df = frame({"unseen": unseen, "seen": seen}, n_texts)
    assert word(df, "A3.natural") == expected
    (verdict,) = [v for v in experiment.claims(df) if v.id == "A3.natural"]
    assert (verdict.ours > 1) == (seen >= unseen) or unseen == seen


@pytest.mark.parametrize(
    "family", [("llama-3.2-1b", "llama-3.2-3b"), ("pythia-160m", "pythia-1.4b")]
)
@pytest.mark.parametrize(
    ("large", "spread", "grows"),
    [(32, 0.3, True), (16, 0.3, False), (8, 0.3, False), (19, 1, None)],
)
def test_growth_with_size(family, large, spread, grows):
    """The claim is growth for Llama and its absence for Pythia."""
    sizes = [
        frame({"unseen": holds, "seen": holds}, 12, model, spread=spread, seed=seed)
        for model, holds, seed in zip(family, (16, large), (1, 2), strict=True)
    ]
    name = family[0].split("-")[0]
    yes, no = ("reproduced", "contradicted") if name == "llama" else ("contradicted", "reproduced")
    expected = {True: yes, False: no, None: "inconclusive"}[grows]
    # The larger model's rows come first: order says nothing.
    got = [v for v in experiment.claims(pd.concat(sizes[::-1])) if v.id == f"A3.size-{name}"]
    if grows is None:
        assert got[0].verdict in ("inconclusive", "not tested here")
    else:
        assert got[0].verdict == expected
        assert got[0].model == ", ".join(family[::-1])
    assert word(sizes[0], f"A3.size-{name}") == "not tested here"
    other = {"llama": "pythia", "pythia": "llama"}[name]
    assert word(pd.concat(sizes), f"A3.size-{other}") == "not tested here"


def test_growth_compares_the_same_texts():
    """Texts differ more than models do, so without the pairing nothing could be seen."""
    small = frame({"unseen": 16}, 16, SMALL, spread=0.35)
    large = frame({"unseen": 16 * 1.5}, 16, LARGE, spread=0.35)
    (verdict,) = [
        v for v in experiment.claims(pd.concat([small, large])) if v.id == "A3.size-llama"
    ]
    assert verdict.verdict == "reproduced" and verdict.n == 16
    apart = large.assign(text=large["text"].map(lambda t: f"unseen-{15 - int(t.split('-')[1])}"))
    assert word(pd.concat([small, apart]), "A3.size-llama") == "inconclusive"


def test_growth_is_that_of_natural_nats_from_the_smallest_to_the_largest_model():
    held = {SMALL: 16, LARGE: 16, "llama-3.1-8b": 32}
    sizes = [frame({"unseen": n, "random": 16}, 12, model) for model, n in held.items()]
    sizes[-1]["h_lm_nats"] *= 1.5
    nats = [
        own[own["came_back"] & (own["source"] == "unseen") & (own["way"] == "own m")]
        .groupby("text")["h_lm_nats"]
        .max()
        .sum()
        for own in sizes
    ]
    (verdict,) = [v for v in experiment.claims(pd.concat(sizes)) if v.id == "A3.size-llama"]
    assert verdict.ours == pytest.approx(nats[-1] / nats[0]) and verdict.n == 12


def test_sources_are_compared_in_tokens():
    df = frame({"unseen": 16, "seen": 16, "random": 8}, 32)
    df.loc[df["source"] != "unseen", "h_lm_nats"] *= 3
    assert word(df, "A3.natural") == word(df, "A3.random") == "reproduced"


def test_only_own_m_counts():
    df = frame({"unseen": 20, "random": 10}, 24)
    flipped = (df["way"] == "shared m") & (df["source"] == "unseen")
    df.loc[flipped, "came_back"] = False
    assert word(df, "A3.random") == "reproduced"


@pytest.mark.parametrize("side", ["unseen", "random"])
def test_texts_that_hold_the_longest_length_carry_no_verdict(side):
    df = frame({"unseen": 20, "random": 10}, 20)
    df.loc[df["text"].isin([f"{side}-0", f"{side}-1"]), "came_back"] = True
    assert word(df, "A3.random") in ("reproduced", "inconclusive")
    df.loc[df["text"] == f"{side}-2", "came_back"] = True
    (verdict,) = [v for v in experiment.claims(df) if v.id == "A3.random"]
    assert verdict.verdict == "not tested here"
    assert "3 of 20 texts" in verdict.needs and "hold all 64" in verdict.needs


def test_sources_are_compared_on_the_first_model_alone():
    df = frame({"unseen": 20, "seen": 20, "random": 10}, 24)
    other = frame({"unseen": 8, "seen": 25, "random": 25}, 24, LARGE)
    both = {v.id: v for v in experiment.claims(pd.concat([df, other]))}
    for verdict in experiment.claims(df):
        if verdict.id in ("A3.natural", "A3.random"):
            assert both[verdict.id] == verdict


def test_models_that_hold_all_that_was_tried_carry_no_verdict():
    sizes = [frame({"unseen": n}, 12, model) for n, model in ((16, SMALL), (500, LARGE))]
    (verdict,) = [v for v in experiment.claims(pd.concat(sizes)) if v.id == "A3.size-llama"]
    assert verdict.verdict == "not tested here"
    assert "12 of 12 texts of large hold all 64" in verdict.needs


@pytest.mark.parametrize("side", ["unseen", "seen"])
def test_natural_texts_that_hold_all_that_was_tried_carry_no_verdict(side):
    df = frame({"unseen": 16, "seen": 16}, 32)
    df.loc[df["text"].isin([f"{side}-{t}" for t in range(4)]), "came_back"] = True
    (verdict,) = [v for v in experiment.claims(df) if v.id == "A3.natural"]
    assert verdict.verdict == "not tested here" and f"4 of 32 texts of {side}" in verdict.needs


def test_a_source_that_was_not_run_is_named():
    needs = {v.id: v.needs for v in experiment.claims(frame({"unseen": 16}))}
    assert needs["A3.natural"] == "texts of seen" and needs["A3.random"] == "texts of random"


def test_random_weights_carry_no_verdict():
    df = frame({"unseen": 20, "seen": 20, "random": 10}, 24, model="tiny")
    assert {v.verdict for v in experiment.claims(df)} == {"not tested here"}


@pytest.mark.parametrize(
    ("grown", "direct", "expected"),
    [
        (0.9, 0.2, "holds"),
        (0.9, 0.8, "does not hold"),
        (0.2, 0.9, "does not hold"),
        (0.9, 0.45, "inconclusive"),
    ],
)
def test_growth_helps(grown, direct, expected):
    draw = np.random.default_rng(0)
    df = frame({"unseen": 20}, 16)
    beside = [
        df[(df["way"] == "own m") & (df["n_tokens"] == 32)].assign(
            strategy=name, accuracy=np.clip(accuracy + 0.05 * draw.normal(size=16), 0, 1)
        )
        for name, accuracy in ((experiment.GROWN, grown), (experiment.DIRECT, direct))
    ]
    (verdict,) = [v for v in experiment.claims(pd.concat([df, *beside])) if v.id == "A3.growth"]
    assert verdict.verdict == expected and verdict.own and verdict.n == 16
    assert verdict.ours == pytest.approx(grown / direct, rel=0.1)
    (untested,) = [v for v in experiment.claims(df) if v.id == "A3.growth"]
    assert untested.verdict == "not tested here"
    assert untested.needs == "texts held both by growth and directly"
    # What is compared at one length is no search: capacities are as without it.
    pd.testing.assert_frame_equal(
        experiment.capacities(pd.concat([df, *beside])), experiment.capacities(df)
    )


def test_growth_is_compared_on_the_same_texts():
    """A threefold gain in each of texts that differ by a factor of 20; one is missing on a side."""
    same = frame({"unseen": 20}, 17).query("way == 'own m' and n_tokens == 32")
    held = np.geomspace(0.05, 1, 17)
    uneven = 3 + 0.1 * np.random.default_rng(0).normal(size=17)
    grown = same.assign(strategy=experiment.GROWN, accuracy=held)[:-1]
    direct = same.assign(strategy=experiment.DIRECT, accuracy=held / uneven)[:0:-1]
    (verdict,) = [v for v in experiment.claims(pd.concat([direct, grown])) if v.id == "A3.growth"]
    assert verdict.verdict == "holds" and verdict.n == 15
    assert verdict.ours == pytest.approx(3, rel=0.05)


def test_growth_and_direct_fits_have_equal_budgets(tiny):
    growth = {"strategy": "grow", "lengths": [1, 2], "end": 4, "direct_at": 3, "ways": ["own m"]}
    params = load_params("capacity", "smoke", sources=["unseen"], **growth)
    df = study(params)
    beside = df[df["strategy"].isin([experiment.GROWN, experiment.DIRECT])]
    assert len(beside) == 2 * params.n_texts and set(beside["n_tokens"]) == {3}
    budgets = beside.groupby("strategy")["max_steps"].first()
    assert budgets[experiment.DIRECT] == 3 * budgets[experiment.GROWN] == 3 * params.max_steps
    for change in ({"direct_at": 1}, {"direct_at": 5}, {"strategy": "grid", "direct_at": 2}):
        with pytest.raises(ReproducerError, match="length that solutions grow to"):
            load_params("capacity", "smoke", **growth | change)


@pytest.mark.parametrize("n_rows", [0, 1, 2, 5, 20, 100])
def test_whatever_is_there_is_shown(n_rows):
    whole = pd.concat(
        [frame({"unseen": 20, "seen": 8, "random": 10}, 6), frame({"unseen": 9}, 4, LARGE)]
    )
    for seed in range(3):
        some = whole.sample(n_rows, random_state=seed).sort_index(kind="stable")
        experiment.claims(some)
        experiment.figure(some)
        experiment.strategies(some)
        cells = experiment.table(some).to_numpy().ravel().tolist()
        assert not any(mark in str(cell) for cell in cells for mark in ("nan", "inf", "-0.0"))
