"""A9: which pairs are joined, what is left out, and verdicts on planted truths."""

import numpy as np
import pandas as pd
import pytest

from reproducer.errors import ReproducerError
from reproducer.experiments import connectivity
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study, wanted
from reproducer.results.known import Known
from tests.experiments.checks import answers_on_subsets, words

IDS = ("A9.straight", "A9.curved", "A9.stretch")


@pytest.mark.parametrize(("share", "n_fits"), [("m", 1), ("text", 2), ("none", 6)])
def test_all_pairs_of_a_text_and_no_others(share, n_fits):
    settings = {"share": share, "n_seeds": 3, "max_steps": 3, "curve_steps": 3}
    params = load_params("connectivity", "smoke", **settings)
    df = study(params)
    assert df.groupby("text")["pair"].nunique().tolist() == [3, 3]
    assert len(df) == 2 * 3 * 2 * params.n_points
    assert (df["stretch"] >= 1).all()
    assert set(words(connectivity.claims(df)).values()) == {"not tested here"}
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    specs = wanted(params, Known())
    assert [spec.kind for spec in specs] == ["fit"] * n_fits + ["curve"] * 6 + ["path"] * 6
    assert {c.n_moving for c in specs if c.kind == "curve"} == {2 if share == "none" else 1}
    assert connectivity.SHARES[share] in connectivity.note(df)


def test_reading_what_is_known_computes_nothing():
    params = load_params("connectivity", "smoke")
    assert study(params, compute=False).empty
    assert [spec.kind for spec in wanted(params, Known())] == ["fit"]


def test_unsolved_fits_are_left_out():
    strict = load_params("connectivity", "smoke", min_accuracy=1.0)
    assert study(strict).empty
    assert [spec.kind for spec in wanted(strict, Known())] == ["fit"]


@pytest.mark.parametrize(("name", "value"), [("n_seeds", 1), ("share", "e"), ("recipe", "x")])
def test_wrong_parameters_are_refused(name, value):
    with pytest.raises(ReproducerError, match=name):
        load_params("connectivity", "smoke", **{name: value})


def some_paths(straight=0.8, curved=0.0, stretch=1.1, n_texts=24, **fields):
    """Two pairs a text whose accuracy falls by so much, halfway; a number or one for each text."""
    t = np.linspace(0, 1, 5)
    frames = []
    for path, falls in (("straight", straight), ("curved", curved)):
        for text, fall in enumerate(np.broadcast_to(falls, n_texts)):
            for pair in "ab":
                accuracy = 1 - fall * 4 * t * (1 - t)
                frame = pd.DataFrame({"t": t, "accuracy": accuracy, "path": path})
                length = np.broadcast_to(stretch, n_texts)[text] + 0.001 * text
                frames.append(frame.assign(text=str(text), pair=f"{text}{pair}", stretch=length))
    facts = {"model": "smollm2-135m", "profile": "test", "share": "text", "curve_steps": 1000}
    facts |= {"n_solutions": 9, "n_left_out": 0, "n_tokens": 4, "recipe": "paper", "device": "CPU"}
    return pd.concat(frames, ignore_index=True).assign(**facts | fields)


def test_falls_are_from_the_ends_to_the_lowest_point():
    df = some_paths(straight=0.8, curved=0.2, n_texts=2)
    df.loc[df["t"] == 0, "accuracy"] = 0.5
    shuffled = connectivity.drops(df.sample(frac=1, random_state=0))
    assert shuffled["straight"].tolist() == pytest.approx([0.75 - 0.2] * 4)
    assert shuffled["curved"].tolist() == pytest.approx([0.25] * 4)
    assert not shuffled["connected"].any() and len(shuffled) == 4


SPREAD = np.r_[np.zeros(12), np.full(12, 0.4)]


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({}, ("reproduced", "reproduced", "reproduced")),
        ({"straight": 0.0}, ("contradicted", "reproduced", "reproduced")),
        ({"straight": np.r_[np.zeros(20), np.full(4, 0.6)]}, ("inconclusive",)),
        ({"curved": 0.5}, ("reproduced", "contradicted", "not tested here")),
        ({"curved": SPREAD}, ("reproduced", "inconclusive", "reproduced")),
        ({"stretch": 2.0}, ("reproduced", "reproduced", "contradicted")),
        ({"stretch": 1.5 + 2 * (SPREAD - 0.2)}, ("reproduced", "reproduced", "inconclusive")),
    ],
)
def test_verdicts_say_what_was_planted(planted, said):
    got = words(connectivity.claims(some_paths(**planted)))
    assert tuple(got) == IDS
    assert tuple(got.values())[: len(said)] == said


def test_only_curves_that_stay_are_measured():
    """Half of the curves fail and are short; those that stay are long."""
    curved, stretch = np.repeat([0.5, 0.0], 12), np.repeat([1.0, 2.0], 12)
    verdict = connectivity.claims(some_paths(curved=curved, stretch=stretch))[2]
    assert (verdict.verdict, verdict.n) == ("contradicted", 12)
    longest = connectivity.claims(some_paths())[2]
    assert longest.ours == pytest.approx(1.1 + 0.001 * 11.5)
    assert connectivity.claims(some_paths(curved=0.5))[2].needs == "curves that stay"


def test_the_longest_curve_of_a_text_counts():
    df = some_paths(stretch=1.1)
    df.loc[df["pair"].str.endswith("b"), "stretch"] = 1.9
    assert connectivity.claims(df)[2].ours == pytest.approx(1.9)
    mixed = df.assign(stretch=df["stretch"] + 0.001 * df["text"].astype(int))
    assert connectivity.claims(mixed)[2].verdict == "contradicted"


def test_pairs_of_a_text_are_one_unit():
    verdicts = connectivity.claims(some_paths(n_texts=9))
    assert [v.n for v in verdicts] == [9, 9, 9] and {v.unit for v in verdicts} == {"texts"}


def test_unfinished_curves_and_own_m_are_not_judged():
    got = words(connectivity.claims(some_paths(curve_steps=999)))
    assert tuple(got.values()) == ("reproduced", "not tested here", "not tested here")
    verdicts = connectivity.claims(some_paths(share="none"))
    assert {v.verdict for v in verdicts} == {"not tested here"}
    assert all("share m" in v.needs for v in verdicts)
    assert {v.verdict for v in connectivity.claims(some_paths(model="tiny"))} == {"not tested here"}


def test_views_answer_on_any_rows():
    df = some_paths(curved=np.r_[0.0, 0.3, 0.0], n_texts=3)
    answers_on_subsets(connectivity, df)
    table = connectivity.table(df)
    assert table["connected pairs"].tolist() == [2, 0, 2]
    assert table["arc ÷ chord, longest"].tolist() == ["1.100", "–", "1.102"]
    assert len(connectivity.figure(df).axes[0].lines) == 2
