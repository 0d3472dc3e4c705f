"""A fit that fails is an outcome: stored with its step, told once, never taken for a beginning."""

import logging

from reproducer.results.budgets import under_smaller_budgets
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import Text

TEXT = Text(source="own", id="a", tokens=(1, 2, 3))


def fit(max_steps):
    recipe = Recipe(name="too fast", lr=1e38, max_steps=max_steps)
    return FitSpec(model="tiny", arrangement="[e] [m]xN", texts=(TEXT,), recipe=recipe)


def test_a_failed_fit_is_an_outcome_with_its_spec_and_step(caplog):
    known, spec = Known(), fit(max_steps=20)
    with caplog.at_level(logging.WARNING):
        (result,) = compute([spec], known, progress=False)
    (line,) = caplog.messages
    told = f"fit {result.key[:12]} on tiny failed at step 10: its loss is not finite any more"
    assert line == told
    assert result.spec["recipe"]["lr"] == 1e38
    assert result.metrics["failed_at"] == 10 and result.metrics["goes_on"] is False
    # It is not tried again, and a larger budget does not go on from it.
    caplog.clear()
    (again,) = compute([spec], known, progress=False)
    assert (again.key, again.metrics) == (result.key, result.metrics) and not caplog.messages
    assert under_smaller_budgets([fit(max_steps=40)], [known.store]) == {}
