"""B6: verdicts on planted vectors, correlations between batches, fits on tiny."""

import numpy as np
import pandas as pd
import pytest

from reproducer.analysis.agreement import relational_correlation
from reproducer.errors import ReproducerError
from reproducer.experiments import distillation as experiment
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study, wanted
from reproducer.results.known import Known
from tests.experiments.checks import answers_on_subsets, words

SETTINGS = (("mse", "none"), ("huber", "none"), ("mse", "m"), ("huber", "m"))
SIZE, WIDTH = 6, 24


def frame(
    correlation=lambda *setting: 0.9,
    cost=lambda *setting: 0.0,
    between=lambda *setting: 0.9,
    n_batches=24,
    control=0.95,
    noise=0.05,
    settings=SETTINGS,
    weights=(0.0, 1.0, 10.0),
):
    """A frame as `rows` gives.

    With the term, a batch's correlation is `correlation`, its accuracy changes by `cost`, and `e`
    is `between` of its teacher vector and the rest noise. At the weaker weight nothing changes.
    """
    draw = np.random.default_rng(0)
    teachers = draw.normal(size=(n_batches, SIZE, WIDTH))
    rows = []
    for share in dict.fromkeys(share for _, share in settings):
        for term, weight in [("none", 0.0)] + [
            (term, w) for term, s in settings if s == share for w in weights if w
        ]:
            acts = weight == max(weights)
            for b, teacher in enumerate(teachers):
                mixed = between(term, share) if acts else 0.0
                e = mixed * teacher + (1 - abs(mixed)) * draw.normal(size=teacher.shape)
                agreement = (correlation(term, share) if acts else 0.0) + noise * draw.normal()
                loss = (cost(term, share) if acts else 0.0) + 0.02 * draw.normal()
                rows += [
                    {
                        "model": "smollm2-135m",
                        "profile": "test",
                        "share": share,
                        "term": term,
                        "weight": weight,
                        "setting": f"{term} × {weight:g}" if weight else "none",
                        "batch": f"b{b}",
                        "text": f"t{b}-{i}",
                        "n_tokens": 8,
                        "accuracy": control - 0.1 * (b % 3) + loss,
                        "agreement": agreement,
                        "trace": np.linspace(0, agreement, 10 + b),
                        "e": e[i],
                        "teacher": teacher[i],
                    }
                    for i in range(SIZE)
                ]
    return pd.DataFrame(rows)


ALL = {"B6.correlation": "reproduced", "B6.accuracy": "reproduced", "B6.generalises": "holds"}


def only(value, *where):
    """`value` under the settings (term, share) of `where`, and what the papers say elsewhere."""
    return lambda normal: lambda *setting: value if setting in where else normal


@pytest.mark.parametrize(
    ("truth", "differs"),
    [
        ({}, {}),
        ({"correlation": lambda *s: 0.0}, {"B6.correlation": "contradicted"}),
        ({"correlation": lambda *s: -0.9}, {"B6.correlation": "contradicted"}),
        (
            {"correlation": lambda *s: 0.2, "noise": 0.3, "settings": SETTINGS[:1]},
            {"B6.correlation": "inconclusive"},
        ),
        ({"cost": lambda *s: -0.3}, {"B6.accuracy": "contradicted"}),
        ({"cost": lambda *s: 0.3}, {}),
        ({"cost": lambda *s: -0.05}, {"B6.accuracy": "inconclusive"}),
        ({"between": lambda *s: 0.0}, {"B6.generalises": "does not hold"}),
        ({"between": lambda *s: 0.25}, {"B6.generalises": "inconclusive"}),
    ],
)
def test_planted_truth(truth, differs):
    verdicts = experiment.claims(frame(**truth))
    assert words(verdicts) == ALL | differs
    assert all(v.n == 24 and v.unit == "batches" for v in verdicts)
    assert [v.own for v in verdicts] == [False, False, True]


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_sharing_and_term_is_judged(setting):
    one = only(-0.3, setting)
    verdicts = experiment.claims(frame(one(0.9), one(0.0), only(0.0, setting)(0.9)))
    assert words(verdicts) == {
        "B6.correlation": "partly",
        "B6.accuracy": "partly",
        "B6.generalises": "does not hold",
    }
    names = [f"{term} × 10, {experiment.SHARES[share]}:" for term, share in SETTINGS]
    for v in verdicts:
        assert all(any(part.startswith(name) for part in v.parts) for name in names)


def test_a_shipped_grid_of_one_setting_is_judged_by_it():
    df = frame(settings=(("mse", "none"),), n_batches=8)
    verdicts = experiment.claims(df)
    assert words(verdicts) == ALL | {"B6.generalises": "not tested here"}
    assert "mse × 10, own m" in verdicts[0].criterion and "12 or more" in verdicts[2].needs


def test_what_is_not_held_without_the_term_is_not_judged():
    verdicts = experiment.claims(frame(control=0.7))
    assert set(words(verdicts).values()) == {"not tested here"}
    assert all("accuracy 0.8 without it" in v.needs for v in verdicts)
    df = frame()
    df.loc[df["share"] == "m", "accuracy"] -= 0.3
    verdicts = experiment.claims(df)
    assert words(verdicts) == ALL
    assert all(
        "without the term: mse × 10, shared m, huber × 10, shared m)" in v.claim for v in verdicts
    )
    assert all("shared" not in v.criterion for v in verdicts)


def test_no_control_or_no_term_tests_nothing():
    df = frame()
    for some in (df[df["weight"] > 0], df[df["weight"] == 0]):
        assert set(words(experiment.claims(some)).values()) == {"not tested here"}


def test_batches_are_paired():
    df = frame(n_batches=20)
    lost = (df["weight"] == 10) & df["batch"].isin(["b0", "b1"])
    lost |= (df["weight"] == 0) & df["batch"].isin(["b2", "b3"])
    df.loc[(df["weight"] == 0) & df["batch"].isin(["b0", "b1"]), "accuracy"] = 1.0
    verdicts = experiment.claims(df[~lost])
    assert words(verdicts) == ALL and all(v.n == 16 for v in verdicts)


def test_an_accuracy_that_mostly_stays_leaves_room_for_rare_failures():
    batch = [f"b{i}" for i in range(16)]
    same = pd.DataFrame({"batch": batch, "accuracy": 1.0})
    interval = experiment.accuracy_gain(same, same)
    assert interval.estimate == 0 and interval.low < -0.1 < 0.1 < interval.high
    varied = same.assign(accuracy=1 + 0.02 * np.random.default_rng(0).normal(size=16))
    interval = experiment.accuracy_gain(varied, same)
    assert -0.05 < interval.low < interval.high < 0.05
    assert interval.estimate == pytest.approx(varied["accuracy"].mean() - 1)


def test_between_batches_uses_no_pair_of_one_batch():
    df = frame(n_batches=3, settings=(("mse", "none"),), between=lambda *s: 0.5)
    some = df[df["weight"] == 10]
    rows = list(some.itertuples())
    pairs = [(a, b) for a in rows for b in rows if a.batch < b.batch]

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    ours = [cosine(a.e, b.e) for a, b in pairs]
    theirs = [cosine(a.teacher, b.teacher) for a, b in pairs]
    assert experiment.between_batches(some) == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
    assert np.isnan(experiment.between_batches(some[some["batch"] == "b0"]))


def test_reach_is_the_difference_of_two_correlations_between_batches():
    df = frame(settings=(("mse", "none"),), between=lambda *s: 0.5)
    strongest, plain = (df[df["weight"] == weight] for weight in (10, 0))
    interval = experiment.reach(strongest, plain)
    expected = experiment.between_batches(strongest) - experiment.between_batches(plain)
    assert interval.estimate == pytest.approx(expected) and interval.low < expected < interval.high
    alone = experiment.reach(strongest)
    assert alone.estimate == pytest.approx(experiment.between_batches(strongest))


def test_any_part_of_the_results_is_shown():
    answers_on_subsets(experiment, frame(n_batches=3, cost=lambda *s: -0.001))


def test_a_wide_table_has_intervals_only_where_there_are_enough_batches():
    few, many = (experiment.table(frame(n_batches=n)) for n in (4, 12))
    assert "…" not in few.to_string()
    assert many["between batches"].str.contains("…").all()
    assert many.loc[("own m", "mse × 10"), "accuracy"] == "0.85"


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRODUCER_STORE", str(tmp_path_factory.mktemp("store")))
        params = load_params("distillation", "smoke")
        yield params, study(params), wanted(params, Known()), study(params, compute=False)


def test_computed_frame(computed):
    params, df, _, again = computed
    pd.testing.assert_frame_equal(df, again)
    # Sharings, then the control and two terms, batches, texts.
    assert len(df) == 2 * 3 * params.n_batches * params.batch_size
    assert set(words(experiment.claims(df)).values()) == {"not tested here"}
    assert len(experiment.table(df)) == 6 and len(experiment.figure(df).axes) == 4


def test_agreement_is_that_of_the_reported_vectors_of_a_batch(computed):
    for _, batch in computed[1].groupby("key"):
        e, teacher = (np.stack(batch[column].to_list()) for column in ("e", "teacher"))
        expected = relational_correlation(e, teacher)
        assert batch["agreement"].tolist() == pytest.approx([expected] * len(batch))
        # The reported state is one of the steps'.
        trace = batch["trace"].iloc[0]
        assert np.abs(trace - expected).min() < 1e-5


def test_the_control_is_fitted_once_for_each_sharing(computed):
    params, _, specs, _ = computed
    controls = [s for s in specs if s.kind == "fit" and s.penalty.weight == 0]
    assert len(controls) == 2 * params.n_batches
    assert sum(s.kind == "sentence_vectors" for s in specs) == params.n_batches


def test_fits_without_their_teacher_s_vectors_are_left_out(computed, tmp_path, monkeypatch):
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path))
    assert study(computed[0], compute=False).empty


@pytest.mark.parametrize("size", [1, 2])
def test_a_batch_without_pairs_to_correlate(size):
    with pytest.raises(
        ReproducerError, match=f"batch_size.*greater than or equal to 3, got {size}"
    ):
        load_params("distillation", "smoke", batch_size=size)
