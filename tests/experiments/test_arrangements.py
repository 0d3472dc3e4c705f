"""A1: table, figures and verdicts from frames with known answers."""

import numpy as np
import pandas as pd
import pytest

from reproducer import load_params
from reproducer.experiments import arrangements as experiment
from reproducer.solver.arrangements import ARRANGEMENTS


def frame(accuracy, lengths=(1, 4, 8), n_texts=6, model="smollm2-135m"):
    """A frame as `collect` gives, where `accuracy(arrangement, n, text)` is the answer."""
    rows = [
        {
            "model": model,
            "profile": "test",
            "arrangement": name,
            "n_tokens": n,
            "text": f"t{i}",
            "source": "unseen",
            "accuracy": accuracy(name, n, i),
            "correct": [p < round(accuracy(name, n, i) * n) for p in range(n)],
        }
        for name in ARRANGEMENTS
        for n in lengths
        for i in range(n_texts)
    ]
    return pd.DataFrame(rows)


def as_published(name, n, text):
    return 1.0 if n == 1 or name in ("[e] [m]x(N-1)", "[e] [m]xN") else 0.25


def test_verdicts_when_the_papers_are_right():
    verdicts = {v.id: v for v in experiment.claims(frame(as_published))}
    assert verdicts["A1.one-token"].verdict == "reproduced"
    assert verdicts["A1.one-token"].ours == pytest.approx(0.75)
    assert verdicts["A1.best"].verdict == "reproduced" and verdicts["A1.best"].ours == 0
    assert verdicts["A1.m-in-front"].verdict == "not reproduced"
    assert verdicts["A1.m-in-front"].ours == pytest.approx(-0.75)
    assert all(v.n == 6 and v.model == "smollm2-135m" for v in verdicts.values())


def test_verdicts_when_the_papers_are_wrong():
    def other(name, n, text):
        return 0.6 if name == "[e] [m]x(N-1)" else 1.0

    verdicts = {v.id: v for v in experiment.claims(frame(other))}
    assert verdicts["A1.one-token"].verdict == "not reproduced"
    assert verdicts["A1.best"].verdict == "not reproduced"
    assert verdicts["A1.best"].ours == pytest.approx(-0.4)
    assert verdicts["A1.m-in-front"].ours == 0


def test_our_own_arrangement_is_no_rival_of_the_papers_choice_but_of_the_one_without():
    def ours_is_best(name, n, text):
        return {"[m] [e] [m]xN": 1.0, "[e] [m]xN": 0.7}.get(name, 0.7 if "N-1" in name else 0.1)

    verdicts = {v.id: v for v in experiment.claims(frame(ours_is_best))}
    assert verdicts["A1.best"].ours == 0 and verdicts["A1.best"].verdict == "reproduced"
    assert verdicts["A1.m-in-front"].ours == pytest.approx(0.3)
    assert verdicts["A1.m-in-front"].verdict == "reproduced"
    without = frame(ours_is_best)
    without = without[without["arrangement"] != "[m] [e] [m]xN"]
    assert experiment.claims(without)[-1].verdict == "not tested at this scale"


def test_arrangements_are_compared_where_both_were_fitted():
    def worse_with_length(name, n, text):
        return 1 / n

    df = frame(worse_with_length)
    partial = df[(df["arrangement"] != "[m] [e] [m]xN") | (df["n_tokens"] == 4)]
    verdict = experiment.claims(partial)[-1]
    assert verdict.id == "A1.m-in-front" and verdict.ours == 0


def test_an_interval_across_the_criterion_is_partly():
    def mixed(name, n, text):
        if name == "[e] [m]x(N-1)":
            return 0.9 if text % 2 else 1.0
        return 0.95 if name == "[e] [m]xN" else 0.1

    verdicts = {v.id: v for v in experiment.claims(frame(mixed))}
    assert verdicts["A1.best"].low < -0.02 < verdicts["A1.best"].high
    assert verdicts["A1.best"].verdict == "partly"


def test_short_texts_test_nothing_and_random_weights_never_do():
    verdicts = experiment.claims(frame(as_published, lengths=(1, 2)))
    assert {v.verdict for v in verdicts} == {"not tested at this scale"}
    assert experiment.claims(frame(as_published, model="tiny")) == []
    assert experiment.claims(pd.DataFrame()) == []


def test_table_has_our_numbers_and_the_paper_s():
    table = experiment.table(frame(as_published))
    assert table.loc["[e]xN", ("ours (smollm2-135m)", 8)] == "0.25\u00a0±\u00a00.00"
    assert table.loc["[e]xN", ("paper (Llama-3.2-1B)", 4)] == "0.17\u00a0±\u00a00.18"
    assert list(table.index) == list(ARRANGEMENTS)


def test_positions_are_means_over_texts():
    by_position = experiment.positions(frame(as_published))
    np.testing.assert_array_equal(by_position.loc["[e]xN"], [1, 1, 0, 0, 0, 0, 0, 0])


def test_figures_draw_every_arrangement():
    df = frame(as_published)
    (axis,) = experiment.figure(df).axes
    assert [line.get_label() for line in axis.get_lines()] == list(ARRANGEMENTS)
    (axis,) = experiment.position_figure(df).axes
    assert len(axis.get_lines()) == 3


def test_collect_computes_once_and_reads_afterwards():
    params = load_params("arrangements", "smoke", lengths=(2,), n_texts=1)
    assert experiment.collect(params, compute_missing=False).empty
    first = experiment.collect(params)
    assert len(first) == len(ARRANGEMENTS)
    pd.testing.assert_frame_equal(first, experiment.collect(params, compute_missing=False))
