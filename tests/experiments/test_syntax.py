"""B4: specs and frames on the tiny model; measures and verdicts on planted truths."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import syntax as experiment
from reproducer.results.known import Known
from reproducer.texts import grammars
from reproducer.texts.grammars import CLASSES
from tests.experiments.frames import answers_any_part_of, fit_columns, words


def test_lengths_match_across_classes():
    params = load_params("syntax", "smoke", n_texts=6)
    matched = experiment.sentences_of(params, "matched")
    assert len(matched) == 7 * 6 and {len(t.tokens) for t in matched} == {params.n_tokens}
    groups = [t.id.split("/")[2] for t in matched[:6]]
    assert groups == ["0", "1", "2", "3", "0", "1"]
    assert len({len(t.tokens) for t in experiment.sentences_of(params, "free")}) > 5


def test_length_tells_classes_apart_unless_it_is_matched():
    lengths = experiment.length_table(load_params("syntax", "smoke", n_texts=12))
    told = lengths.loc["class told by length"].astype(float)
    assert told["matched"] <= 1 / 7 + 0.01 < 0.2 < told["free"]


def test_impossible_length_of_a_class(monkeypatch):
    monkeypatch.setattr(grammars, "ATTEMPTS", 100)
    with pytest.raises(ReproducerError, match="expected 1 sentences of 3 tokens from vocabulary"):
        experiment.specs(load_params("syntax", "smoke", n_tokens=3), Known())


def test_specs_of_the_shipped_profile_derive_no_sentence():
    code = (
        "import sys; from reproducer import load_params, Known\n"
        "from reproducer.experiments import syntax\n"
        "assert len(syntax.specs(load_params('syntax', 'smollm2'), Known())) == 336\n"
        "heavy = {'nltk', 'torch', 'sklearn', 'scipy'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_frame_knows_condition_class_and_group():
    params = load_params("syntax", "smoke")
    frame = study(params)
    assert len(frame) == 2 * 7 * 4 and set(frame["condition"]) == {"matched"}
    assert (frame.groupby("class")["group"].nunique() == 4).all()
    assert set(words(experiment, frame).values()) == {"not tested here"}
    assert frame["e"].iloc[0].shape == frame["m"].iloc[0].shape == (32,)


def planted(e=0.0, words_tell=False, n=40, start="own", seed=0, condition="matched", **columns):
    """Sentences of all classes whose `e` lies toward a centre of its class, as strongly as `e`.

    `words_tell`: whether a word of the sentence gives its class away.
    """
    draw, rows = np.random.default_rng(seed), []
    centres = {name: draw.normal(size=12) for name in CLASSES}
    for name in CLASSES:
        for number in range(n):
            group, mark = number % 4, CLASSES_BY_NUMBER.index(name) if words_tell else 0
            rows.append(
                fit_columns(
                    **{"class": name, "group": str(group), "condition": condition},
                    text=f"{condition}/{name}/{group}/{number}",
                    sentence=f"w{draw.integers(50)} of w{draw.integers(50)} mark{mark}",
                    e=e * centres[name] + draw.normal(size=12),
                    m=draw.normal(size=12),
                    start=start,
                    n_tokens=10,
                    min_accuracy=0.9,
                )
            )
    return pd.DataFrame(rows).assign(**columns)


CLASSES_BY_NUMBER = list(CLASSES)
CASES = [(1.2, "holds"), (0.0, "does not hold"), (0.25, "inconclusive")]


@pytest.mark.parametrize("start, mark", [("own", ""), ("common", "-common-start")])
@pytest.mark.parametrize("e, word", CASES)
def test_class(start, mark, e, word):
    said = words(experiment, planted(e, start=start))
    assert said[f"B4.class{mark}"] == word
    assert list(said.values()).count("not tested here") == 2


@pytest.mark.parametrize(
    "e, words_tell, word",
    [(1.2, False, "holds"), (1.2, True, "does not hold"), (0.4, False, "inconclusive")],
)
def test_beyond_words(e, words_tell, word):
    assert words(experiment, planted(e, words_tell))["B4.beyond-words"] == word


def test_a_warm_m_carries_no_verdict():
    df = planted(0.0)
    named = dict(zip(CLASSES, np.eye(12), strict=False))
    df["m"] = [9 * named[name] for name in df["class"]]
    free, warm = (experiment.claims(df.assign(warm_m=w))[0] for w in (False, True))
    assert (free.verdict, warm.verdict) == ("holds", "does not hold")
    assert "from e and m" in free.claim and "from e, fits" in warm.claim
    both = pd.concat([df.assign(warm_m=True, recipe="fast"), planted(1.2)])
    assert words(experiment, both)["B4.class"] == "holds"


def test_sentences_of_free_length_are_not_judged():
    said = words(experiment, planted(1.2, condition="free"))
    assert set(said.values()) == {"not tested here"}


def test_what_cannot_be_tested():
    assert experiment.claims(pd.DataFrame()) == []
    for frame in (planted(1.2, n=8), planted(1.2).assign(min_accuracy=0.5)):
        verdicts = experiment.claims(frame)
        assert all("10 or more sentences of each class" in v.needs for v in verdicts)
        assert {v.verdict for v in verdicts} == {"not tested here"}
    assert set(words(experiment, planted(1.2).assign(model="tiny")).values()) == {"not tested here"}
    missing = planted(1.2)
    missing = missing[missing["class"] != "simple"]
    assert words(experiment, missing)["B4.class"] == "not tested here"


def test_any_part_of_the_results_is_shown():
    df = pd.concat([planted(0.5, n=6), planted(0.5, n=6, start="common", recipe="canonical")])
    df = df.reset_index(drop=True)
    answers_any_part_of(experiment, df)
    for part in (df, df.iloc[:3], df.assign(accuracy=0.0)):
        assert isinstance(experiment.figure(part), Figure)
    assert len(experiment.table(df)) == 2 * 5


def test_recipes_from_one_start_stand_beside_the_recipe():
    params = load_params("syntax", "smoke")
    recipes = [s.recipe.name for s in experiment.specs(params, Known())]
    assert recipes == ["paper"] * 28 + ["canonical"] * 28
    with pytest.raises(ReproducerError, match="expected a recipe with a common start, got 'paper'"):
        load_params("syntax", "smoke", common_start=("paper",))
