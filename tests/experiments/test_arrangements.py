"""A1: the theorem of equal inputs; table, figures and verdicts on frames with known answers."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params, study
from reproducer.errors import ReproducerError
from reproducer.experiments import arrangements as experiment
from reproducer.experiments.study import wanted
from reproducer.readings.first_position import PositionSpec
from reproducer.results.known import Known
from reproducer.solver.arrangements import ARRANGEMENTS, accuracy_bound

CHOICE, RUNNER_UP, OURS = "[e] [m]x(N-1)", "[e] [m]xN", "[m] [e] [m]xN"
IDS = ("A1.one-token", "A1.best", "A1.m-in-front")


def frame(accuracy, lengths=(1, 4, 8), n_texts=40, model="smollm2-135m"):
    """A frame as `rows` gives, where `accuracy(arrangement, n, text)` is the answer."""
    rows = [
        {
            "model": model,
            "profile": "test",
            "arrangement": name,
            "n_tokens": n,
            "text": f"t{i:02}",
            "source": "unseen",
            "accuracy": accuracy(name, n, i),
            "bound": accuracy_bound(name, range(n)),
            "correct": [p < round(accuracy(name, n, i) * n) for p in range(n)],
        }
        for name in experiment.COMPARED
        for n in lengths
        for i in range(n_texts)
    ]
    return pd.DataFrame(rows)


def as_published(name, n, text):
    return 1.0 if n == 1 or name in (CHOICE, RUNNER_UP) else 0.25


def noisy(means, spread=0.05):
    """Accuracies around a mean for each arrangement, at lengths of 4 or more."""
    draw = np.random.default_rng(0).uniform(-spread, spread, (len(ARRANGEMENTS), 9, 100))
    order = list(ARRANGEMENTS)
    return lambda name, n, text: means.get(name, 0.2) + draw[order.index(name), n, text]


def verdicts(df):
    return {v.id: v for v in experiment.claims(df)}


def test_names_and_numbers_are_checked_before_any_work():
    with pytest.raises(ReproducerError, match=r"did you mean '\[e\] \[m\]xN'"):
        load_params("arrangements", "smoke", arrangements=["[e][m]xN"])
    with pytest.raises(ReproducerError, match="lengths.*greater than 0"):
        load_params("arrangements", "smoke", lengths=[4, 0])
    with pytest.raises(ReproducerError, match="unknown recipe 'papers'"):
        load_params("arrangements", "smoke", recipe="papers")


def test_by_default_the_shipped_arrangements_are_compared():
    params = load_params("arrangements", "smollm2")
    asked = wanted(params, Known())
    fits = [spec for spec in asked if not isinstance(spec, PositionSpec)]
    assert {spec.arrangement for spec in fits} == set(experiment.COMPARED)
    assert len(experiment.COMPARED) == 6
    assert len(fits) == 6 * len(params.lengths) * params.n_texts
    assert all(spec in Known() for spec in asked)


def test_study_computes_once_and_reads_afterwards(tiny):
    params = load_params("arrangements", "smoke", lengths=(2, 3), n_texts=1)
    assert study(params, compute=False).empty
    df = study(params)
    assert len(df) == 2 * len(experiment.COMPARED)
    pd.testing.assert_frame_equal(df, study(params, compute=False))
    one_vector = df[df["arrangement"] == "[e]xN"].set_index("n_tokens")["bound"]
    assert one_vector[2] in (1 / 2, 1) and one_vector[3] in (1 / 3, 2 / 3, 1)
    assert (df.loc[df["arrangement"] == CHOICE, "bound"] == 1).all()


def test_every_shipped_fit_is_within_the_bound():
    df = study(load_params("arrangements", "smollm2"), compute=False)
    assert (df["accuracy"] <= df["bound"]).all()
    # One vector at four lengths and halves at three: the others can be bounded by nothing below 1.
    assert (df["bound"] < 1).sum() >= 8 * (4 + 3)
    # It binds: without it, one of these fits would have been expected to get a token more.
    assert (df["accuracy"] == df["bound"])[df["bound"] < 1].any()


def test_words_where_the_paper_is_right():
    said = verdicts(frame(as_published))
    assert [said[i].verdict for i in IDS] == ["reproduced", "inconclusive", "does not hold"]
    assert said["A1.one-token"].ours == 0.25
    assert said["A1.best"].ours == 0
    assert said["A1.m-in-front"].ours == pytest.approx(-0.75)
    assert all(v.n == 40 and v.unit == "texts" for v in said.values())
    assert [said[i].own for i in IDS] == [False, False, True]


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ({"[e]xN": 0.1, CHOICE: 0.9, RUNNER_UP: 0.7, OURS: 0.95}, ("reproduced",) * 2 + ("holds",)),
        (
            {"[e]xN": 0.9, CHOICE: 0.6, RUNNER_UP: 0.9, OURS: 0.6},
            ("contradicted", "contradicted", "does not hold"),
        ),
        (
            {"[e]xN": 0.5, CHOICE: 0.75, RUNNER_UP: 0.8, OURS: 0.9},
            ("inconclusive", "inconclusive", "inconclusive"),
        ),
    ],
    ids=["true", "false", "undecidable"],
)
def test_planted_truths(means, words):
    said = verdicts(frame(noisy(means)))
    assert tuple(said[i].verdict for i in IDS) == words


def test_one_vector_is_judged_at_its_longest_length_alone():
    def short_only(name, n, text):
        return 0.1 if n == 8 else 0.9

    assert verdicts(frame(short_only))["A1.one-token"].ours == pytest.approx(0.1)


def test_the_rival_of_a_text_is_chosen_on_the_others():
    def two_texts(name, n, text):
        # Each text has a rival of its own that is perfect; on the other text it has nothing.
        return {CHOICE: 0.5, RUNNER_UP: float(text == 0), "[e m]x(N/2)": float(text == 1)}.get(
            name, 0.0
        )

    df = frame(two_texts, lengths=(4,), n_texts=2)
    assert experiment.lead_over_the_best_rival(df[df["arrangement"] != OURS]).tolist() == [0.5, 0.5]


def test_the_lead_is_taken_where_all_rivals_are():
    df = frame(lambda name, n, text: 0.9 if name == CHOICE else 0.2 * n / 4, n_texts=3)
    df = df[(df["n_tokens"] > 1) & (df["arrangement"] != OURS)]
    lacks = (df["arrangement"] == RUNNER_UP) & (df["n_tokens"] == 8) & (df["text"] == "t00")
    np.testing.assert_allclose(experiment.lead_over_the_best_rival(df[~lacks]), [0.7, 0.6, 0.6])


def test_our_arrangement_is_no_rival_of_the_papers_choice():
    said = verdicts(frame(noisy({CHOICE: 0.9, RUNNER_UP: 0.5, OURS: 1.0}, 0)))
    assert said["A1.best"].ours == pytest.approx(0.4)


def test_arrangements_are_compared_on_the_texts_and_lengths_that_have_both():
    def worse_with_length(name, n, text):
        return 1 / n + 0.1 * (name == OURS)

    df = frame(worse_with_length)
    partial = df[(df["arrangement"] != OURS) | ((df["n_tokens"] == 4) & (df["text"] < "t30"))]
    said = verdicts(partial)["A1.m-in-front"]
    assert said.ours == pytest.approx(0.1) and said.n == 30


def test_short_texts_and_random_weights_test_nothing():
    said = experiment.claims(frame(as_published, lengths=(1, 2)))
    assert {v.verdict for v in said} == {"not tested here"}
    assert "N of 4 or more" in said[0].needs
    enough = experiment.claims(frame(as_published, lengths=(1, experiment.LONG)))
    assert "not tested here" not in {v.verdict for v in enough}
    assert experiment.claims(frame(as_published, model="tiny")) == []
    assert experiment.claims(pd.DataFrame()) == []


@pytest.mark.parametrize("seed", range(12))
def test_any_part_of_the_results_is_answered(seed):
    df = frame(as_published, n_texts=3)
    some = df.sample(n=(0, 1, 2, 5)[seed % 4], random_state=seed)
    assert all(v.verdict in ("not tested here", "inconclusive") for v in experiment.claims(some))
    cells = experiment.table(some).to_numpy().ravel()
    assert not {"nan", "inf", "-0.00"} & {word for cell in cells for word in cell.split()}
    assert len(experiment.figure(some).axes) == len(experiment.position_figure(some).axes) == 1


def test_table_has_our_numbers_and_the_paper_s():
    table = experiment.table(frame(as_published))
    assert table.loc["[e]xN", ("ours (smollm2-135m)", 8)] == "0.25\u00a0±\u00a00.00"
    assert table.loc["[e]xN", ("paper (Llama-3.2-1B)", 4)] == "0.17\u00a0±\u00a00.18"
    assert table.loc[OURS, ("paper (Llama-3.2-1B)", 4)] == "–"
    assert tuple(table.index) == experiment.COMPARED


def test_positions_are_means_over_texts():
    by_position = experiment.positions(frame(as_published))
    np.testing.assert_array_equal(by_position.loc["[e]xN"], [1, 1, 0, 0, 0, 0, 0, 0])


def test_figures_draw_every_arrangement_and_the_bounds():
    df = frame(as_published)
    (axis,) = experiment.figure(df).axes
    lines = {line.get_label(): line for line in axis.get_lines()}
    halves = "[e]x(N/2) [m]x(N/2)"
    assert set(lines) == {*experiment.COMPARED, "[e]xN, at most", f"{halves}, at most"}
    np.testing.assert_allclose(lines["[e]xN, at most"].get_ydata(), [1, 1 / 4, 1 / 8])
    np.testing.assert_allclose(lines[f"{halves}, at most"].get_ydata(), [1, 3 / 4, 5 / 8])
    marks = np.concatenate([m.get_offsets() for m in axis.collections if hasattr(m, "get_sizes")])
    assert (256, 0.99) in map(tuple, marks.tolist())
    assert "paper: Llama-3.2-1B" in axis.get_legend_handles_labels()[1]
    (axis,) = experiment.position_figure(df).axes
    assert len(axis.get_lines()) == 3
