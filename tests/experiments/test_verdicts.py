"""Verdicts: what follows from an interval, and how they are shown."""

import numpy as np
import pandas as pd
import pytest

from reproducer.experiments.verdicts import Verdict, judge, ledger, ledger_table, verdict_on


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.6, 0.9, "reproduced"),
        (0.4, 0.6, "partly"),
        (0.1, 0.4, "not reproduced"),
    ],
)
def test_judge_asks_both_ends(low, high, expected):
    assert judge(low, high, lambda value: value > 0.5) == expected


def test_judge_counts_the_ends_of_numpy_numbers_too():
    assert judge(np.float64(0.6), np.float64(0.9), lambda value: value > 0.5) == "reproduced"


@pytest.mark.parametrize("numbers", [(float("nan"),) * 3, (None,) * 3])
def test_without_a_number_nothing_is_judged(numbers):
    df = pd.DataFrame({"model": ["m"], "profile": ["quick"]})
    fields = {"id": "x", "experiment": "x", "claim": "c", "published": "p", "criterion": "k"}
    verdict = verdict_on(df, numbers, lambda value: value > 0, True, n=1, **fields)
    assert verdict.verdict == "not tested at this scale" and verdict.ours is None


def test_ledger_table_shows_missing_numbers_as_dashes_and_marks_verdicts():
    verdict = Verdict(
        id="x.1",
        experiment="x",
        claim="a claim",
        published="0.99",
        ours=None,
        low=None,
        high=None,
        n=3,
        model="m",
        profile="quick",
        criterion="above 0.5",
        verdict="not tested at this scale",
    )
    html = ledger_table([verdict]).to_html()
    assert "–" in html and "not-tested-at-this-scale" in html and "above 0.5" in html
    assert "above 0.5" not in ledger_table([verdict], criteria=False).to_html()
    assert "verdict" in ledger_table([]).to_html()


def test_ledger_reads_the_store_only():
    """Nothing is stored, so there is no verdict, and nothing was computed to get one."""
    assert ledger("smoke") == []
