"""Where the first token comes from: what is compared, and verdicts on frames with known answers."""

import inspect

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.experiments import second_position as experiment
from reproducer.experiments.study import wanted
from reproducer.results.known import Known
from reproducer.solver.arrangements import arrangement

IDS = ("second_position.first-is-useless", "second_position.e-predicts")


def frame(first, n_texts=40, model="smollm2-135m"):
    """A frame as `rows` gives, where `first(arrangement, n, text)` is the first token's share."""
    rows = [
        {
            "arrangement": name,
            "n_tokens": n,
            "text": f"t{i:02}",
            "accuracy": 0.5,
            "first": first(name, n, i),
        }
        for name in experiment.ARMS
        for n in (4, 8)
        for i in range(n_texts)
    ]
    return pd.DataFrame(rows).assign(model=model, profile="test")


def shares(of_first, of_second, of_silent, n_texts=40):
    """A frame in which that share of texts has the first token right under each arrangement."""
    limits = dict(zip(experiment.ARMS, (of_first, of_second, of_silent), strict=True))
    return frame(lambda name, n, i: float((i + 0.5) / n_texts < limits[name]), n_texts)


def words(df):
    said = {v.id: v for v in experiment.claims(df)}
    return [said[name].verdict for name in IDS]


def test_each_arrangement_changes_one_thing():
    predicts = {}
    for name in experiment.ARMS:
        pattern = arrangement(name)
        predicts[name] = (pattern.offset, pattern.roles(4)[pattern.offset])
    assert predicts == {
        experiment.FIRST: (0, "e"),
        experiment.SECOND: (1, "e"),
        experiment.SILENT: (1, "m"),
    }


def test_an_experiment_takes_at_most_80_lines():
    assert len(inspect.getsource(experiment).splitlines()) <= 80


def test_study_takes_the_first_token_and_shares_fits_with_arrangements(tiny):
    params = load_params("second_position", "smoke")
    theirs = wanted(load_params("arrangements", "smoke"), Known())
    common = {s.key for s in wanted(params, Known())} & {s.key for s in theirs}
    assert len(common) == 2 * 2 * 2  # arrangements, lengths, texts
    assert study(params, compute=False).empty
    df = study(params)
    assert len(df) == 3 * 2 * 2
    assert df["first"].tolist() == [float(correct[0]) for correct in df["correct"]]
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    assert experiment.claims(df) == []


def test_every_shipped_fit_is_asked_for():
    known = Known()
    params = load_params("second_position", "smollm2")
    asked = wanted(params, known)
    assert len(asked) == 3 * len(params.lengths) * params.n_texts
    assert all(spec in known for spec in asked)


@pytest.mark.parametrize(
    ("df", "expected"),
    [
        (shares(0, 0.5, 1), ["holds", "holds"]),
        (shares(0, 1, 1), ["holds", "does not hold"]),
        (shares(0, 0, 1), ["does not hold", "holds"]),
        (shares(1, 0.5, 0), ["does not hold", "does not hold"]),
        (shares(0.5, 0.6, 0.7), ["inconclusive", "inconclusive"]),
    ],
)
def test_planted_truths(df, expected):
    assert words(df) == expected
    assert all(v.own and v.unit == "texts" and v.n == 40 for v in experiment.claims(df))


def test_differences_are_paired_by_text():
    """Independent samples of these shares would decide nothing; every text has the same gap."""
    draw = np.random.default_rng(0).uniform(0, 0.7, 40)
    gain = dict(zip(experiment.ARMS, (0, 0.3, 0.3), strict=True))
    (useless, _) = experiment.claims(frame(lambda name, n, i: draw[i] + gain[name]))
    assert useless.ours == pytest.approx(0.3) and useless.low > 0.18


def test_table_and_figure():
    table = experiment.table(shares(0, 0.5, 1))
    assert table.loc[experiment.SECOND, ("the first token", 8)] == "0.50\u00a0±\u00a00.50"
    (axis,) = experiment.figure(shares(0, 0.5, 1)).axes
    assert {line.get_label(): list(line.get_ydata()) for line in axis.get_lines()} == {
        experiment.FIRST: [0, 0],
        experiment.SECOND: [0.5, 0.5],
        experiment.SILENT: [1, 1],
    }


@pytest.mark.parametrize("seed", range(12))
def test_any_part_of_the_results_is_answered(seed):
    df = shares(0, 0.5, 1, n_texts=3)
    some = df.sample(n=(0, 1, 2, 6)[seed % 4], random_state=seed)
    assert {v.verdict for v in experiment.claims(some)} <= {"not tested here", "inconclusive"}
    assert "nan" not in " ".join(experiment.table(some).to_numpy().ravel())
    assert len(experiment.figure(some).axes) == 1
