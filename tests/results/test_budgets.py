"""Budgets: a larger one continues a smaller one, and ends where it would have ended by itself."""

import sys

import numpy as np
import pytest

from reproducer.results.budgets import course
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.packs import Packs, pack
from reproducer.results.run import compute
from reproducer.results.store import Store
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import load_texts
from tests.results.samples import raw

SHORT, LONG = 40, 70


def fits(max_steps, trace=False, **changes):
    recipe = Recipe(**{"name": "test", "lr": 0.03, "max_steps": max_steps} | changes)
    texts = load_texts("unseen", "tiny", 8, 3)
    fields = {"model": "tiny", "dtype": "float32", "arrangement": "[e m]x(N/2)", "recipe": recipe}
    return [FitSpec(texts=(text.prefix(3),), trace=trace, **fields) for text in texts]


@pytest.fixture
def computed(monkeypatch):
    """What was computed: specs, and with which earlier results; both grow."""
    specs, begun = [], {}
    module = sys.modules["reproducer.results.run"]
    really = module.under_smaller_budgets

    def noted(wanted, sources):
        specs.extend(wanted)
        earlier = really(wanted, sources)
        begun.update(earlier)
        return earlier

    monkeypatch.setattr(module, "under_smaller_budgets", noted)
    return specs, begun


@pytest.mark.parametrize("changes", [{}, {"restart_every": 20, "restart_below": 0.5}])
@pytest.mark.parametrize("trace", [False, True])
def test_ends_where_an_uninterrupted_fit_does(tiny, computed, tmp_path, changes, trace):
    first = compute(fits(SHORT, trace, **changes), progress=False)
    left = [r for r in first if not r.metrics["solved"]]
    assert 0 < len(left) < len(first)
    specs, begun = computed
    specs.clear()
    extended = compute(fits(LONG, trace, **changes), progress=False)
    assert {r.key for r in begun.values()} == {r.key for r in first}
    assert sum(r.metrics["steps"] > SHORT for r in extended) <= len(left)

    alone = Known(Store(tmp_path / "other"))
    anew = compute(fits(LONG, trace, **changes), alone, progress=False)
    for ours, theirs, before in zip(extended, anew, first, strict=True):
        assert ours.key == theirs.key and ours.spec == theirs.spec
        assert ours.provenance["continues"] == before.key
        for name in ("accuracy", "solved", "steps"):
            assert ours.metrics[name] == theirs.metrics[name]
        assert ours.metrics["seconds"] >= before.metrics["seconds"]
        assert ours.arrays.keys() == theirs.arrays.keys()
        for name, values in ours.arrays.items():
            np.testing.assert_allclose(values, theirs.arrays[name], rtol=1e-3, atol=1e-4)
        assert ours.key in Store()


def test_the_largest_smaller_budget_is_continued_and_no_larger_one(tiny, computed):
    by_budget = {
        steps: {r.key for r in compute(fits(steps), progress=False)}
        for steps in (20, SHORT, LONG)
    }
    specs, begun = computed
    begun.clear()
    compute(fits(SHORT + 10), progress=False)
    assert {r.key for r in begun.values()} == by_budget[SHORT]
    begun.clear(), specs.clear()
    shorter = compute(fits(10), progress=False)
    assert not begun and {spec.key for spec in specs} == {r.key for r in shorter}


def test_packs_count_too(tiny, computed, tmp_path):
    first = compute(fits(SHORT), progress=False)
    pack(first, "x", tmp_path / "packs")
    known = Known(Store(tmp_path / "empty"), Packs(tmp_path / "packs"))
    computed[1].clear()
    extended = compute(fits(LONG), known, progress=False)
    assert {r.key for r in computed[1].values()} == {r.key for r in first}
    assert [r.provenance["continues"] for r in extended] == [r.key for r in first]


@pytest.mark.parametrize(
    "changes", [{"decay_to": 0.5}, {"lr": 0.02}, {"stop_accuracy": 0.9}, {"init_std": 0.5}]
)
def test_another_course_is_not_continued(tiny, computed, changes):
    compute(fits(SHORT, decay_to=changes.get("decay_to", 1.0)), progress=False)
    found = compute(fits(LONG, **changes), progress=False)
    assert not computed[1] and not any("continues" in r.provenance for r in found)


def test_a_budget_between_checks_cannot_be_continued(tiny, computed):
    first = compute(fits(SHORT + 5), progress=False)
    assert not any(name.startswith("end_") for r in first for name in r.arrays)
    compute(fits(LONG), progress=False)
    assert not computed[1]


def test_what_is_damaged_is_not_continued(tiny, computed):
    compute(fits(SHORT), progress=False)
    raw(Store(), "UPDATE results SET arrays = x'00'")
    compute(fits(LONG), progress=False)
    assert not computed[1]


def test_a_wrong_index_is_not_believed(tiny, computed):
    """The columns that find a smaller budget are covered by no digest."""
    other = compute(fits(SHORT, lr=0.02), progress=False)
    name = course(compute(fits(SHORT), progress=False)[0])
    raw(Store(), "DELETE FROM results WHERE course = ?", name)
    raw(Store(), "UPDATE results SET course = ? WHERE key = ?", name, other[0].key)
    compute(fits(LONG)[:1], progress=False)
    assert not computed[1]
