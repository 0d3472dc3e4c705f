"""B5: verdicts on planted frames, the last step of fits that ended before it, fits on tiny."""

import numpy as np
import pandas as pd
import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.experiments import anchoring as experiment
from reproducer.experiments.anchoring import STRONG, WEAK
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study, wanted
from reproducer.results.known import Known
from tests.experiments.checks import answers_on_subsets, words

NOISE = 0.03 * np.random.default_rng(0).normal(size=64)


def frame(accuracy, cosine, n_texts=64, lengths=(8,), held=False, start="teacher"):
    """A frame as `rows` gives; `accuracy` and `cosine` map weights to their mean."""
    rows = [
        {
            "model": "smollm2-135m",
            "profile": "test",
            "text": f"t{i}",
            "n_tokens": n,
            "weight": weight,
            "start": start,
            "max_steps": 500,
            # Texts differ more than weights do.
            "accuracy": accuracy[weight] + NOISE[i] * (weight == WEAK) - 0.05 * (i % 3),
            "cosine": cosine[weight] + NOISE[i] * (1 + weight),
            "held": held,
            "trace": np.linspace(1, cosine[weight], 500 - 100 * held),
        }
        for weight in (0.0, WEAK, STRONG)
        for n in lengths
        for i in range(n_texts)
    ]
    return pd.DataFrame(rows)


def planted(weak=0.0, strong=-0.6, weak_cosine=0.0, strong_cosine=0.5, **options):
    return frame(
        {0.0: 0.95, WEAK: 0.95 + weak, STRONG: 0.95 + strong},
        {0.0: 0.0, WEAK: weak_cosine, STRONG: strong_cosine},
        **options,
    )


PAPERS = {
    "B5.weak": "reproduced",
    "B5.weak-cosine": "reproduced",
    "B5.strong": "reproduced",
    "B5.strong-cosine": "reproduced",
}


@pytest.mark.parametrize(
    ("truth", "differs"),
    [
        ({}, {}),
        ({"weak": -0.3}, {"B5.weak": "contradicted"}),
        ({"weak": 0.2}, {}),
        ({"weak": -0.1}, {"B5.weak": "inconclusive"}),
        ({"strong": 0.0}, {"B5.strong": "contradicted"}),
        ({"strong": 0.4, "weak": -0.5}, {"B5.strong": "contradicted", "B5.weak": "contradicted"}),
        ({"strong": -0.2}, {"B5.strong": "inconclusive"}),
        (
            {"weak_cosine": 0.5},
            {"B5.weak-cosine": "contradicted", "B5.strong-cosine": "contradicted"},
        ),
        ({"weak_cosine": -0.5}, {"B5.weak-cosine": "contradicted"}),
        ({"weak_cosine": 0.2, "strong_cosine": 0.8}, {"B5.weak-cosine": "inconclusive"}),
        ({"strong_cosine": 0.2}, {"B5.strong-cosine": "inconclusive"}),
        ({"strong_cosine": -0.5}, {"B5.strong-cosine": "contradicted"}),
    ],
)
def test_planted_truth(truth, differs):
    verdicts = experiment.claims(planted(**truth))
    assert words(verdicts) == PAPERS | differs
    assert all(v.n == 64 and v.unit == "texts" and not v.own for v in verdicts)


def test_few_texts_without_a_change_decide_nothing():
    said = words(experiment.claims(planted(strong=0.0, n_texts=10)))
    assert said["B5.weak"] == "inconclusive" and said["B5.strong"] == "inconclusive"


def test_the_cosine_of_fits_that_ended_early_is_not_judged():
    verdicts = experiment.claims(planted(held=True))
    assert words(verdicts) == PAPERS | {
        "B5.weak-cosine": "not tested here",
        "B5.strong-cosine": "not tested here",
    }
    cosine = verdicts[1]
    assert "fixed_steps" in cosine.needs and "100% of the fits ended before" in cosine.claim
    df = planted()
    df.loc[df.index[64:67], "held"] = True  # 3 of the 64 with the weak anchor
    verdicts = experiment.claims(df)
    assert words(verdicts) == PAPERS and "5% of the fits" in verdicts[1].claim
    assert "ended before" not in verdicts[0].claim


def test_texts_that_are_not_held_without_the_anchor_test_nothing():
    df = planted()
    low = df.assign(accuracy=df["accuracy"] - 0.3)
    for some in (low, df[df["weight"] > 0]):
        verdicts = experiment.claims(some)
        assert set(words(verdicts).values()) == {"not tested here"}
        assert all("without the anchor" in v.needs for v in verdicts)


def test_fits_are_paired_by_text_and_length_and_start_at_the_teacher():
    df = planted(lengths=(8, 16))
    lost = df[~((df["weight"] == WEAK) & (df["n_tokens"] == 16))]
    lost.loc[lost["n_tokens"] == 16, "accuracy"] += 0.05
    (weak, *_) = experiment.claims(lost)
    assert weak.ours == pytest.approx(NOISE.mean()) and weak.n == 64
    hard = df[df["weight"] == 0].assign(text=lambda d: "hard " + d["text"], accuracy=0.9)
    assert experiment.claims(pd.concat([df, hard]))[0].n == 64
    elsewhere = planted(weak=-0.9, strong=0.5, weak_cosine=0.9, start="normal")
    assert words(experiment.claims(pd.concat([df, elsewhere]))) == PAPERS


def test_any_part_of_the_results_is_shown():
    df = pd.concat([planted(n_texts=3, weak=-0.001), planted(n_texts=2, start="normal")])
    answers_on_subsets(experiment, df.reset_index(drop=True))


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A frame under `smoke`, with and without fits that end early, and its parameters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRODUCER_STORE", str(tmp_path_factory.mktemp("store")))
        asked = {"stop_accuracy": 0.5, "lengths": (1, 2), "max_steps": 200}
        ends = load_params("anchoring", "smoke", **asked)
        goes_on = load_params("anchoring", "smoke", **asked, fixed_steps=True)
        yield study(ends), study(goes_on), goes_on


def test_with_fixed_steps_every_fit_has_its_last_step(computed):
    ends, goes_on, params = computed
    assert (ends["steps"] < params.max_steps).any() and ends["held"].any()
    assert (goes_on["steps"] == params.max_steps).all() and not goes_on["held"].any()
    assert (goes_on["trace"].map(len) == params.max_steps).all()
    early = ends[ends["held"]].iloc[0]
    assert early["cosine"] == early["trace"][-1] and len(early["trace"]) == early["steps"]
    assert set(words(experiment.claims(goes_on)).values()) == {"not tested here"}
    assert "–" not in experiment.table(goes_on).to_string()


def test_the_first_cosine_tells_the_start(computed):
    for row in computed[1].itertuples():
        assert (abs(row.trace[0] - 1) < 1e-5) == (row.start == "teacher")


def test_the_anchor_starts_at_the_teacher(tiny, computed):
    params, known = computed[2], Known()
    for spec in experiment.fits(params):
        vectors = known.get(spec.penalty.teacher) or spec.penalty.teacher.run(None, ())
        arrays = {k: np.asarray(v) for k, v in vectors.arrays.items()}
        needed = type("Vectors", (), {"arrays": arrays})()
        start, teacher = spec.problem(tiny, [needed]).rows[0], spec.penalty.teacher_rows(32, needed)
        assert torch.equal(start, teacher[0]) == spec.penalty.start_at_teacher


def test_the_wanted_specs_are_each_once_with_their_teacher():
    params = load_params("anchoring", "smoke")
    specs = wanted(params, Known())
    kinds = pd.Series([spec.kind for spec in specs]).value_counts()
    assert kinds["fit"] == params.n_texts * 2 * 2 * 2 and kinds["sentence_vectors"] == 4


def test_the_start_is_the_one_asked_for():
    for start in ("teacher", "normal"):
        fits = experiment.fits(load_params("anchoring", "smoke", starts=(start,)))
        assert fits and {f.penalty.start_at_teacher for f in fits} == {start == "teacher"}


def test_bad_names():
    with pytest.raises(ReproducerError, match="unknown teacher 'randm'.*did you mean 'random'"):
        load_params("anchoring", "smoke", teacher="randm")
    with pytest.raises(ReproducerError, match="unknown arrangement"):
        load_params("anchoring", "smoke", arrangement="[e]")


def test_a_teacher_wider_than_the_model():
    params = load_params("anchoring", "smoke", teacher="all-minilm-l6-v2")
    with pytest.raises(ReproducerError, match="at most the model's width 32.*got width 384"):
        study(params)
