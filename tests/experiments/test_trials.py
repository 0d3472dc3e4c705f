"""Trials on the tiny model: what is fitted, what is counted, what is kept."""

from functools import partial

import pytest

from reproducer.experiments.trials import THRESHOLD, Setting, enough, longest, run_trials
from reproducer.readings.mem_vectors import MemSpec
from reproducer.results.run import compute, stored
from reproducer.results.store import Store
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import load_texts

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("trials")

RECIPE = Recipe(name="test", lr=0.1, max_steps=200)
LENGTHS = (1, 2, 3, 5)


def setting(lm, way, n_texts=3):
    texts = tuple(text.prefix(5) for text in load_texts("unseen", lm, n_texts, 5))
    return Setting("tiny", "unseen", way, texts, "[e] [m]xN", RECIPE)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="module")
def trials(tiny, store):
    ways = ("own m", "shared m", "1 mem", "2 mem")
    fetch = partial(compute, store=store, progress=False)
    return run_trials([setting(tiny, way) for way in ways], LENGTHS, "grid", fetch)


def test_every_text_tries_every_length_in_every_way(trials):
    assert len(trials) == 4 * 3 * len(LENGTHS)
    assert (trials.groupby(["way", "text"])["n_tokens"].apply(sorted).map(tuple) == LENGTHS).all()


def test_right_tokens_never_exceed_the_length(trials):
    assert (trials["c_tokens"] <= trials["n_tokens"]).all()
    assert trials["c_tokens"].div(trials["n_tokens"]).to_numpy() == pytest.approx(
        trials["accuracy"].to_numpy()
    )
    held = longest(trials)
    assert held["held_tokens"].max() > 0
    assert (held["c_tokens"] <= held["held_tokens"]).all()
    assert (held["held_tokens"] <= held["n_tokens"]).all()


def test_longest_is_the_longest_that_came_back(trials):
    for row in longest(trials).itertuples():
        tried = trials[(trials["way"] == row.way) & (trials["text"] == row.text)]
        back = tried[tried["accuracy"] >= THRESHOLD]
        assert row.held_tokens == (back["n_tokens"].max() if len(back) else 0)
        expected = back.loc[back["n_tokens"].idxmax(), "h_lm_nats"] if len(back) else 0
        assert row.h_lm_nats == expected
        assert row.n_fits == len(LENGTHS)


def test_information_grows_along_the_text(trials):
    own = trials[trials["way"] == "own m"].sort_values(["text", "n_tokens"])
    assert (own.groupby("text")["h_lm_nats"].diff().dropna() > 0).all()


def test_what_is_fitted(tiny):
    shared = setting(tiny, "shared m").spec(1, 3)
    assert shared.share == "m" and len(shared.texts) == 3 and shared.n_tokens == 3
    assert setting(tiny, "shared m").spec(2, 3).key == shared.key
    own = setting(tiny, "own m").spec(1, 3)
    assert own.share == "none" and own.texts == (shared.texts[1],)
    mem = setting(tiny, "2 mem").spec(1, 3)
    assert isinstance(mem, MemSpec) and mem.n_mem == 2 and mem.text == shared.texts[1]


def test_bisection_makes_some_of_the_grids_trials(tiny, trials, store):
    known = partial(stored, store=store)
    halved = run_trials([setting(tiny, "own m")], LENGTHS, "bisect", known)
    assert 0 < len(halved) < 3 * len(LENGTHS)
    assert set(halved["key"]) <= set(trials["key"])


def test_texts_whose_trials_are_not_stored_have_no_rows(tiny):
    assert run_trials([setting(tiny, "own m")], LENGTHS, "bisect", stored).empty
    assert longest(run_trials([setting(tiny, "own m")], LENGTHS, "grid", stored)).empty


def test_capacities_at_the_end_of_the_grid_carry_no_verdict(trials):
    held = longest(trials).head(1)
    many = held.loc[held.index.repeat(10)].assign(n_tokens=5)
    assert enough(many.assign(held_tokens=2))
    assert not enough(many.assign(held_tokens=5))
    assert not enough(many.assign(held_tokens=0))
    assert not enough(many.head(9).assign(held_tokens=2))
