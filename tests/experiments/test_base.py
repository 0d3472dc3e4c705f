"""Cells of tables and lines of pages that all experiments share."""

import math

import pandas as pd
import pytest

from reproducer import load_params
from reproducer.analysis.estimates import no_interval
from reproducer.analysis.intervals import share_interval
from reproducer.experiments import base
from reproducer.experiments.cells import mean_std, number, share, with_interval


@pytest.mark.parametrize(
    ("value", "options", "cell"),
    [
        (0.126, {}, "0.13"),
        (-0.001, {}, "0.00"),
        (-0.001, {"signed": True}, "+0.00"),
        (2, {"digits": 0}, "2"),
        (None, {}, "–"),
        (math.nan, {}, "–"),
        (math.inf, {}, "∞"),
        (-math.inf, {}, "−∞"),
    ],
)
def test_no_number_is_shown_raw(value, options, cell):
    assert number(value, **options) == cell


def test_what_is_missing_is_a_dash():
    assert mean_std(pd.Series(dtype=float)) == share(None) == share(math.nan) == "–"
    assert mean_std(pd.Series([1.0, 2.0]), digits=1) == "1.5\u00a0±\u00a00.5"
    assert share(0.333) == "33%"
    assert with_interval(no_interval(0.5, 1, "more")) == "0.50"
    assert with_interval(share_interval(0, 4)) == "0.00 (0.00 … 0.60)"


def test_a_note_says_where_and_what():
    frame = pd.DataFrame({"model": ["m"], "device": ["CPU"], "profile": ["quick"], "n_texts": [3]})
    line = base.note(frame, "{n_texts} texts.")
    assert line == "Computed with m on CPU, profile quick: 3 texts."
    assert base.note(frame.iloc[:0], "{n_texts} texts.") == base.NOTHING_STORED
    both = pd.concat([frame, frame.assign(device="z GPU")], ignore_index=True)
    assert f"{frame['device'].iloc[0]}; z GPU" in base.note(both, "")


def test_a_cut_from_what_the_paper_leaves_to_its_models_is_told_in_words():
    said = base.cut_note(load_params("throughput", "smollm2"))
    assert "lengths 16, 16 instead of the default" in said and "None" not in said
