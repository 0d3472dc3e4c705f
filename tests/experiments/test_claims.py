"""Claims: criteria that can fail, words from outcomes, verdicts on planted truths, Holm."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from reproducer.analysis.intervals import (
    mean_interval,
    ratio_interval,
    share_interval,
    statistic_interval,
)
from reproducer.errors import ReproducerError
from reproducer.experiments.claims import Verdict, verdict, with_holm, word
from reproducer.experiments.criteria import above, below, judge, p_value, units_to_decide, within

DF = pd.DataFrame({"model": ["a", "b", "a"], "profile": "quick"})
FIELDS = {"id": "A1.x", "experiment": "x", "claim": "a claim", "unit": "texts"}
OWN = FIELDS | {"id": "recipes.x"}
WHY = "a tenth of the tokens"
NOISE = np.random.default_rng(0).normal(0, 0.1, 40)


@pytest.mark.parametrize(
    "write",
    [
        lambda: above(0, WHY),
        lambda: below(0.0, WHY),
        lambda: within(0, 0.1, WHY),
        lambda: within(0.2, 0.1, WHY),
        lambda: above(np.inf, WHY),
        lambda: above(np.nan, WHY),
        lambda: above(0.1, " "),
    ],
)
def test_a_criterion_has_a_margin_and_a_reason(write):
    with pytest.raises(ReproducerError):
        write()


def test_no_effect_is_no_boundary_on_any_scale():
    ratio = ratio_interval(np.linspace(1, 2, 16), np.ones(16))
    auc = statistic_interval(16, lambda i: 0.4 + 0.01 * i.mean(), bounds=(0, 1))
    for interval, boundary in ((ratio, 1.0), (auc, 0.5)):
        with pytest.raises(ReproducerError, match="margin"):
            judge(interval, above(boundary, WHY))
        judge(interval, above(boundary + 0.1, WHY))


def test_criteria_read_as_text():
    shown = [str(c) for c in (above(0.1, "r"), below(-2, "r"), within(-0.1, 0.1, "r"))]
    assert shown == ["above 0.1 (r)", "below -2 (r)", "between -0.1 and 0.1 (r)"]


@pytest.mark.parametrize(
    ("low", "high", "criterion", "expected"),
    [
        (0.2, 0.4, above(0.1, WHY), "for"),
        (0.1, 0.4, above(0.1, WHY), "for"),
        (0.0, 0.2, above(0.1, WHY), "undecided"),
        (-0.1, 0.09, above(0.1, WHY), "against"),
        (-0.3, -0.2, below(-0.1, WHY), "for"),
        (-0.05, 0.3, below(-0.1, WHY), "against"),
        (-0.3, 0.3, below(-0.1, WHY), "undecided"),
        (-0.05, 0.05, within(-0.1, 0.1, WHY), "for"),
        (-0.3, 0.3, within(-0.1, 0.1, WHY), "undecided"),  # covers the whole band and more
        (0.0, 0.3, within(-0.1, 0.1, WHY), "undecided"),
        (0.2, 0.3, within(-0.1, 0.1, WHY), "against"),
        (-0.3, -0.2, within(-0.1, 0.1, WHY), "against"),
        (-np.inf, np.inf, above(0.1, WHY), "undecided"),
        (np.nan, np.nan, above(0.1, WHY), "undecided"),
    ],
)
def test_the_whole_interval_decides(low, high, criterion, expected):
    base = mean_interval(NOISE)
    interval = type(base)((low + high) / 2, low, high, 40, "by hand")
    assert judge(interval, criterion) == expected


F, A, U = "for", "against", "undecided"


@pytest.mark.parametrize(
    ("outcomes", "papers", "ours"),
    [
        ([F], "reproduced", "holds"),
        ([A], "contradicted", "does not hold"),
        ([U], "inconclusive", "inconclusive"),
        ([F, F], "reproduced", "holds"),
        ([F, U], "partly", "inconclusive"),
        ([F, A], "partly", "does not hold"),
        ([F, A, U], "partly", "does not hold"),
        ([A, A], "contradicted", "does not hold"),
        ([A, U], "inconclusive", "does not hold"),
        ([U, U], "inconclusive", "inconclusive"),
        ([], "not tested here", "not tested here"),
    ],
)
def test_words(outcomes, papers, ours):
    for order in (outcomes, outcomes[::-1]):
        assert word(order, own=False, tested=True) == papers
        assert word(order, own=True, tested=True) == ours
        assert word(order, own=False, tested=False) == "not tested here"
        assert word(order, own=True, tested=False) == "not tested here"


@given(st.floats(-0.5, 0.5), st.sampled_from([above, below]), st.floats(0.05, 0.3))
def test_a_decision_is_a_p_below_005(shift, side, delta):
    interval, criterion = mean_interval(NOISE + shift), side(delta, WHY)
    p = p_value(interval, criterion)
    if abs(p - 0.05) > 1e-6:
        assert (judge(interval, criterion) != "undecided") == (p < 0.05)


def test_the_p_of_a_band_is_that_of_the_boundary_harder_to_exclude():
    interval, band = mean_interval(NOISE + 0.02), within(-0.1, 0.1, WHY)
    assert interval.p_value(-0.1) < interval.p_value(0.1) == p_value(interval, band)
    beyond = mean_interval(NOISE + 0.2)
    assert p_value(beyond, band) == beyond.p_value(0.1)


@pytest.mark.parametrize(
    ("truth", "papers", "ours"),
    [(0.3, "reproduced", "holds"), (0.0, "contradicted", "does not hold")]
    + [(-0.3, "contradicted", "does not hold"), (0.1, "inconclusive", "inconclusive")],
)
def test_planted_means(truth, papers, ours):
    part = (mean_interval(NOISE + truth), above(0.1, WHY))
    assert verdict(DF, part, **FIELDS).verdict == papers
    assert verdict(DF, part, **OWN).verdict == ours


@pytest.mark.parametrize(
    ("truth", "papers"), [(0.0, "reproduced"), (0.4, "contradicted"), (0.1, "inconclusive")]
)
def test_planted_equivalence(truth, papers):
    part = (mean_interval(NOISE + truth), within(-0.1, 0.1, WHY))
    assert verdict(DF, part, **FIELDS).verdict == papers


def test_planted_shares_and_ratios():
    assert verdict(DF, (share_interval(31, 32), above(0.5, WHY)), **FIELDS).verdict == "reproduced"
    assert verdict(DF, (share_interval(2, 32), above(0.5, WHY)), **FIELDS).verdict == "contradicted"
    assert verdict(DF, (share_interval(3, 4), above(0.5, WHY)), **FIELDS).verdict == "inconclusive"
    steps = np.random.default_rng(1).gamma(8, size=32)
    for factor, said in ((5, "holds"), (2, "does not hold"), (3, "inconclusive")):
        slow = factor * steps * np.linspace(0.8, 1.2, 32)
        part = (ratio_interval(slow, steps), above(3, "a third of the steps"))
        assert verdict(DF, part, **OWN).verdict == said


def test_a_censored_ratio_decides_only_what_its_bound_can():
    steps = np.random.default_rng(1).gamma(8, size=32)
    slow = np.minimum(6 * steps * np.linspace(0.8, 1.2, 32), 45.0)
    censored = ratio_interval(slow, steps, censored_above=True)
    said = verdict(DF, (censored, above(3, WHY)), **OWN)
    assert said.verdict == "holds" and said.high is None and said.low > 3
    assert said.smallest_effect > 3 and said.p < 0.05
    said = verdict(DF, (censored, below(20, WHY)), **OWN)
    assert said.verdict == "inconclusive" and "larger budget" in said.needs
    both = ratio_interval(slow, steps, censored_above=True, censored_below=True)
    assert verdict(DF, (both, above(0.1, WHY)), **OWN).verdict == "inconclusive"


def test_a_verdict_tells_all_it_rests_on():
    interval = mean_interval(NOISE + 0.3)
    said = verdict(DF, (interval, above(0.1, WHY)), published="0.4", **FIELDS)
    assert (said.ours, said.low, said.high, said.n) == (
        interval.estimate,
        interval.low,
        interval.high,
        40,
    )
    assert said.model == "a, b" and said.profile == "quick" and said.unit == "texts"
    assert said.criterion == f"above 0.1 ({WHY})" and said.published == "0.4"
    assert said.p == interval.p_value(0.1) < 0.05 and said.own is False
    assert 0.1 < said.smallest_effect < 0.2
    assert said.needs == "" and said.parts == () and said.holm is None
    assert json.loads(json.dumps(said.model_dump(), allow_nan=False))["id"] == "A1.x"


def test_own_claims_by_id_or_by_word():
    part = (mean_interval(NOISE + 0.3), above(0.1, WHY))
    assert verdict(DF, part, **OWN).own is True
    assert verdict(DF, part, own=True, **FIELDS).verdict == "holds"


def test_smallest_effect_lies_beyond_the_boundary_on_the_side_that_is_claimed():
    interval = mean_interval(NOISE)
    small = [
        verdict(DF, (interval, criterion), **FIELDS).smallest_effect
        for criterion in (above(0.1, WHY), below(-0.1, WHY), within(-0.1, 0.1, WHY))
    ]
    assert small[0] > 0.1 and small[1] < -0.1 and small[2] == small[0]


def test_a_claim_of_several_parts_shows_the_weakest_and_all():
    good = (share_interval(31, 32), above(0.5, WHY), "solved")
    open_ = (mean_interval(NOISE + 0.1), above(0.1, WHY), "gain")
    bad = (mean_interval(NOISE - 0.3), above(0.1, WHY), "loss")
    said = verdict(DF, good, open_, **FIELDS)
    assert said.verdict == "partly" and said.ours == open_[0].estimate and said.n == 40
    assert said.criterion == f"solved: above 0.5 ({WHY}); gain: above 0.1 ({WHY})"
    assert [part.rsplit(" ", 1)[-1] for part in said.parts] == ["for", "undecided"]
    assert said.p == p_value(*open_[:2]) and "texts" in said.needs
    for parts in ((good, open_, bad), (bad, good, open_)):
        said = verdict(DF, *parts, **OWN)
        assert said.verdict == "does not hold" and said.ours == bad[0].estimate
        assert said.p == pytest.approx(3 * p_value(*bad[:2]))


def test_what_an_inconclusive_claim_needs_would_decide_it():
    draw = np.random.default_rng(4)
    interval, criterion = mean_interval(draw.normal(0.25, 0.5, 24)), above(0.1, WHY)
    said = verdict(DF, (interval, criterion), **FIELDS)
    assert said.verdict == "inconclusive" and said.needs.startswith("about ")
    wanted = int(said.needs.split()[1])
    assert wanted > 24
    assert judge(interval.resized(round(1.1 * wanted)), criterion) != "undecided"
    assert judge(interval.resized(round(0.6 * wanted)), criterion) == "undecided"
    assert units_to_decide(mean_interval(NOISE + 5), criterion) == 40
    margin = mean_interval(NOISE - NOISE.mean() + 0.10001)
    assert "more than 10000" in verdict(DF, (margin, criterion), **FIELDS).needs


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.6], [0.5] * 20])
def test_without_an_interval_nothing_is_judged(values):
    said = verdict(DF, (mean_interval(values), above(0.1, WHY)), **FIELDS)
    assert said.verdict == "not tested here" and said.needs
    assert said.low is said.high is said.p is said.smallest_effect is None
    assert said.n == len(values) and (said.ours is None) == (not values)


def test_gates_name_what_they_need_and_keep_the_numbers():
    part = (mean_interval(NOISE + 0.3), above(0.1, WHY))
    said = verdict(DF, part, untested="a GPU", **FIELDS)
    assert said.verdict == "not tested here" and said.needs == "a GPU" and said.ours is not None
    assert said.p is None
    tiny = verdict(DF.assign(model="tiny"), part, **FIELDS)
    assert tiny.verdict == "not tested here" and tiny.needs == "a trained model"
    assert verdict(DF, **FIELDS).verdict == "not tested here"
    assert verdict(DF.iloc[:0], part, **FIELDS).model == ""
    one_lacks = verdict(DF, part, (mean_interval([1.0]), above(0.1, WHY)), **FIELDS)
    assert one_lacks.verdict == "not tested here" and one_lacks.needs == "8 or more texts"


def test_parts_show_a_dash_for_no_number_and_no_sign_before_zero():
    few = (mean_interval([]), above(0.1, WHY), "empty")
    tied = (mean_interval([0.5] * 20), above(0.1, WHY), "tied")
    none = (mean_interval(NOISE - NOISE.mean() - 0.001), above(0.1, WHY), "zero")
    said = verdict(DF, few, tied, none, **FIELDS)
    numbers, needs = zip(
        *(part.split(f", above 0.1 ({WHY}): ") for part in said.parts), strict=True
    )
    assert numbers[:2] == ("empty: – (– … –), n = 0", "tied: 0.50 (– … –), n = 20")
    assert numbers[2] == "zero: 0.00 (-0.03 … 0.02), n = 40"
    assert needs[:2] == (
        "needs 8 or more texts",
        "needs texts of which at most half have the same value",
    )
    assert said.needs == "8 or more texts; texts of which at most half have the same value"
    assert said.ours is None
    json.dumps(said.model_dump(), allow_nan=False)


def test_zero_has_no_sign_in_the_ledger():
    said = verdict(DF, (mean_interval([-0.0] * 3, bounds=(-1, 1)), above(0.1, WHY)), **FIELDS)
    assert json.dumps(said.ours) == "0.0"


@pytest.mark.parametrize(
    "interval",
    [
        mean_interval([0.1]),
        mean_interval([0.5] * 20),
        mean_interval([], bounds=(0, 1)),
        share_interval(0, 0),
        ratio_interval([1.0] * 3, [1.0] * 3),
        ratio_interval([0.0] * 9, np.arange(9.0)),
        statistic_interval(3, lambda i: 0.5),
        statistic_interval(12, lambda i: 0.5),
        statistic_interval(12, lambda i: float("nan")),
        statistic_interval(12, lambda i: 1.0, bounds=(0, 1)),
    ],
)
def test_what_an_interval_needs_is_told_in_the_unit_of_the_claim(interval):
    said = verdict(DF, (interval, above(0.1, WHY)), **FIELDS | {"unit": "groups"})
    assert said.verdict == "not tested here" and "groups" in said.needs
    assert "unit" not in said.needs and "bounds" not in said.needs


def _with_p(claim_id: str, p: float | None) -> Verdict:
    said = verdict(DF, (mean_interval(NOISE), above(0.1, WHY)), **FIELDS | {"id": claim_id})
    return said.model_copy(update={"p": p})


@pytest.mark.parametrize("n", [1, 2, 5, 24])
def test_holm_is_that_of_statsmodels_in_each_family(n):
    values = (np.random.default_rng(n).random(n) ** 3 * 0.1).tolist()
    ids = ["A1.x", "B1.x", "recipes.x"]
    verdicts = [_with_p(ids[i % 3], p) for i, p in enumerate(values)]
    said = with_holm([*verdicts, _with_p("A1.x", None)])
    assert said[-1].holm is None
    for family in range(min(3, n)):
        expected = multipletests(values[family::3], 0.05, method="holm")[0]
        assert [v.holm for v in said[:-1][family::3]] == expected.tolist()


def test_claims_weigh_nothing_on_import():
    """Neither module may bring scipy, statsmodels or torch to the command line."""
    code = (
        "import sys, types, pathlib; package = types.ModuleType('reproducer');"
        "package.__path__ = [sys.argv[1]]; sys.modules['reproducer'] = package;"
        "inner = types.ModuleType('reproducer.experiments');"
        "inner.__path__ = [sys.argv[1] + '/experiments'];"
        "sys.modules['reproducer.experiments'] = inner;"
        "import reproducer.experiments.claims;"
        "print([m for m in ('scipy', 'torch', 'statsmodels') if m in sys.modules])"
    )
    root = sys.modules["reproducer"].__path__[0]
    run = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
