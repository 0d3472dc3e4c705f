"""The smallest effects that a planned run could show, by the spread of stored results."""

import pytest

from reproducer.app.detectable import detectable
from reproducer.experiments.profiles import load_params
from reproducer.results.known import Known


def test_without_results_none_can_be_told(nothing_shipped):
    (claim,) = detectable(load_params("second_position", "smoke"), Known())
    assert claim.smallest_effect is None and "no stored result" in claim.why_not


def test_the_shipped_results_tell_what_they_told():
    from reproducer.experiments.ledger import verdicts_of

    params = load_params("second_position", "smollm2")
    verdicts = {v.id: v for v in verdicts_of(params)}
    found = detectable(params, Known())
    assert {claim.claim for claim in found} == set(verdicts)
    for claim in found:
        verdict = verdicts[claim.claim]
        assert claim.n == verdict.n
        assert claim.smallest_effect == pytest.approx(verdict.smallest_effect)


def test_more_texts_show_a_smaller_effect():
    shipped = load_params("second_position", "smollm2")
    few = detectable(shipped, Known())
    more = {"n_texts": 4 * shipped.n_texts}
    many = detectable(load_params("second_position", "smollm2", **more), Known())
    for a, b in zip(few, many, strict=True):
        assert b.n == 4 * a.n and b.spread_from == "smollm2 on smollm2-135m"
        assert b.smallest_effect < a.smallest_effect
