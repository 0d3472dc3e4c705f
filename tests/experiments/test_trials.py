"""Trials on the tiny model: what is asked for, what is counted, what is kept."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params
from reproducer.errors import ReproducerError
from reproducer.experiments.held import censored, greedy_frame, longest, trial_frame
from reproducer.experiments.study import run, study, wanted
from reproducer.experiments.trials import THRESHOLD, Setting, reading_specs, settings, trials
from reproducer.readings.continuations import ContinuationSpec, texts_of
from reproducer.readings.mem_vectors import MemSpec
from reproducer.readings.surprisal import SurprisalSpec, TextInformation
from reproducer.results.fits import FitSpec
from reproducer.results.growth import GrowSpec
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.results.specs import Result
from reproducer.results.store import Store
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import load_texts

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("trials")

RECIPE = Recipe(name="test", lr=0.1, max_steps=200)
GRID = (1, 2, 3, 5)
WAYS = ("own m", "shared m", "1 mem", "2 mem")


def setting(way, strategy="grid", n_texts=3, **changes):
    texts = tuple(text.prefix(5) for text in load_texts("unseen", "tiny", n_texts, 5))
    design = {"first": "mem", "init": "recipe"} if "mem" in way else {}
    given = {"grid": GRID, "strategy": strategy, "arrangement": "[e] [m]xN", "recipe": RECIPE}
    return Setting("tiny", "unseen", way, texts, **given | design | changes)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Every way on the whole grid."""
    known = Known(Store(tmp_path_factory.mktemp("trials")))
    chosen = [setting(way) for way in WAYS]
    fits = [spec for one in chosen for spec in trials(one, known).specs]
    compute([*fits, *reading_specs(chosen)], known, progress=False)
    return known


@pytest.fixture(scope="module")
def tried(known):
    return trial_frame([trials(setting(way), known) for way in WAYS], known)


def test_every_text_tries_every_length_in_every_way(tried):
    assert len(tried) == 4 * 3 * len(GRID)
    assert (tried.groupby(["way", "text"])["n_tokens"].apply(sorted).map(tuple) == GRID).all()


def test_right_tokens_are_those_of_the_fit(tried, known):
    assert (tried["c_tokens"] <= tried["n_tokens"]).all()
    for row in tried.itertuples():
        one = setting(row.way)
        number = [text.id for text in one.texts].index(row.text)
        correct = known.get(one.spec(number, row.n_tokens)).arrays["correct"]
        correct = correct[number if row.way == "shared m" else 0]
        assert row.c_tokens == correct.sum() and row.accuracy == correct.mean()
        assert row.came_back == (correct.mean() >= THRESHOLD)


def test_longest_is_the_longest_that_came_back(tried):
    held = longest(tried)
    assert held["held_tokens"].max() > 0 and len(held) == 4 * 3
    for row in held.itertuples():
        of_text = tried[(tried["way"] == row.way) & (tried["text"] == row.text)]
        back = of_text[of_text["accuracy"] >= THRESHOLD]
        assert row.held_tokens == (back["n_tokens"].max() if len(back) else 0)
        expected = back.loc[back["n_tokens"].idxmax(), "h_lm_nats"] if len(back) else 0
        assert row.h_lm_nats == expected
        assert row.n_fits == len(GRID) and row.n_tokens == max(GRID)
        assert row.token_steps == (of_text["n_tokens"] * of_text["steps"]).sum()


def test_information_is_that_of_the_prefix(tried, known):
    row = tried.iloc[-1]
    text = next(text for text in setting(row.way).texts if text.id == row.text)
    nats = known.get(SurprisalSpec(model="tiny", text=text)).arrays["nats"]
    assert row.h_lm_nats == pytest.approx(nats[: row.n_tokens].sum())
    assert row.first_nats == pytest.approx(nats[0])


def test_what_is_fitted():
    shared = setting("shared m").spec(1, 3)
    assert shared.share == "m" and len(shared.texts) == 3 and shared.n_tokens == 3
    assert setting("shared m").spec(2, 3).key == shared.key
    own = setting("own m").spec(1, 3)
    assert own.share == "none" and own.texts == (shared.texts[1],)
    mem = setting("2 mem", first="bos", init="embeddings").spec(1, 3)
    assert isinstance(mem, MemSpec) and mem.n_mem == 2 and mem.text == shared.texts[1]
    assert mem.first == "bos" and mem.init == "embeddings"


def test_bisection_makes_some_of_the_grids_trials(tried, known):
    some = trial_frame([trials(setting("own m", "bisect"), known)], known)
    assert 0 < len(some) < 3 * len(GRID)
    assert set(some["key"]) <= set(tried["key"])


def test_a_search_that_is_not_finished_asks_for_more_and_has_no_rows():
    nothing = Known()
    first = trials(setting("own m", "bisect"), nothing)
    assert not first.finished and [spec.n_tokens for spec in first.specs] == [2, 2, 2]
    frame = trial_frame([first], nothing)
    assert frame.empty and longest(frame).empty
    assert list(longest(frame).columns)[-3:] == ["held_tokens", "n_fits", "token_steps"]


def test_greedy_decoding_returns_what_it_returns(known):
    one = trials(setting("2 mem"), known)
    (spec,) = one.greedy
    assert [fit.text.tokens for fit in spec.fits] == [
        one.setting.texts[number].prefix(n).tokens for number, n in one.held.items()
    ]
    # Decoding that fails at the second token of every text.
    correct = np.ones((len(one.held), 5), dtype=bool)
    correct[:, 1] = False

    class Astray(Known):
        def get(self, spec, arrays=True):
            if spec.kind == "greedy":
                return Result(spec.key, {}, {}, {"correct": correct})
            return known.get(spec, arrays)

    frame = greedy_frame([trials(setting(way), Astray()) for way in WAYS], Astray())
    assert set(frame["way"]) <= {"1 mem", "2 mem"}
    held = longest(trial_frame([one], known)).set_index("text")["held_tokens"]
    for row in frame[frame["way"] == "2 mem"].itertuples():
        n = held[row.text]
        assert row.greedy_tokens == 1
        assert row.greedy_accuracy == pytest.approx((n - (n > 1)) / n)


def test_texts_at_the_end_of_the_grid_are_counted():
    held = pd.DataFrame({"held_tokens": [2] * 9 + [5], "n_tokens": 5})
    assert censored(left=held) == ""
    assert censored(left=held.head(9), right=held.tail(2)) == (
        "longer prefixes (1 of 2 texts of right hold all 5)"
    )


def test_growth_climbs_until_it_fails_and_on_beyond_the_grid(tiny):
    params = load_params("capacity", "smoke", strategy="grow", lengths=[1, 2], end=5)
    assert params.grid == (1, 2, 3, 4, 5)
    one = setting("own m", "grow", grid=params.grid, stages=params.grid)
    assert isinstance(one.spec(0, 3), GrowSpec) and one.spec(0, 3).stages == (1, 2)
    assert type(one.spec(0, 1)) is FitSpec
    mem = setting("2 mem", "grow", grid=params.grid, stages=params.grid)
    assert mem.spec(0, 3).former.key == mem.spec(0, 2).key

    class Holds(Known):
        """Texts hold 3, 5 and 0 tokens."""

        def get(self, spec, arrays=True):
            capacity = [3, 5, 0][[t.id for t in one.texts].index(spec.texts[0].id)]
            right = 1.0 if spec.n_tokens <= capacity else 0.0
            return Result(spec.key, {}, {"accuracy": [right]})

    searches = trials(one, Holds()).searches
    assert [search.longest for search in searches] == [3, 5, 0]
    assert [list(search.tried) for search in searches] == [[1, 2, 3, 4], [1, 2, 3, 4, 5], [1]]


@pytest.mark.parametrize("name", ["capacity", "information"])
def test_studies_grow(tiny, name):
    params = load_params(name, "smoke", strategy="grow", lengths=[2, 3], end=4, n_texts=2)
    df = study(params)
    assert set(df["strategy"]) == {"grow"} and not df.empty
    assert all(spec in Known() for spec in wanted(params, Known()))


def test_generated_texts_are_sampled_first(tiny):
    params = load_params("capacity", "smoke", sources=["generated:unseen"], ways=["own m"])
    known = Known()
    (first, second) = wanted(params, known)
    assert isinstance(first, ContinuationSpec) and first.n_tokens == max(params.lengths)
    run(params, known, progress=False)
    (one,) = settings(params, ("tiny",), ("own m",), known)
    assert one.texts == (texts_of(known.get(first))[0], texts_of(known.get(second))[0])
    reading = known.get(SurprisalSpec(model="tiny", text=one.texts[0]))
    assert len(TextInformation.of(reading).h_lm_nats) == 1 + max(params.lengths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": []}, "at least 1 item"),
        ({"lengths": [0, 4]}, "lengths of at least 1, got 0"),
        ({"sources": ["generated:random"]}, "unknown source 'random'"),
        ({"sources": ["unsen"]}, "did you mean 'unseen'"),
        ({"arrangement": "[e]"}, "unknown arrangement"),
    ],
)
def test_bad_parameters_are_told_before_any_work(change, message):
    with pytest.raises(ReproducerError, match=message):
        load_params("capacity", "smoke", **change)


def test_texts_too_short():
    chosen = {"model": "smollm2-135m", "sources": ["seen"], "n_texts": 50, "lengths": [8000]}
    params = load_params("capacity", "smoke", **chosen)
    with pytest.raises(ReproducerError, match="longest usable length for 50 texts is"):
        wanted(params, Known())
