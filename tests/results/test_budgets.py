"""Budgets: a larger one continues a smaller one, and ends where it would have ended by itself."""

import sys

import pytest
import torch

from reproducer import compute
from reproducer.results import packs as shipped
from reproducer.results.packs import Shipped
from reproducer.results.specs import FitSpec
from reproducer.results.store import Store
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import load_texts

SHORT, LONG = 40, 70


def fits(lm, max_steps, trace=False, **changes):
    recipe = Recipe(**{"name": "test", "lr": 0.03, "max_steps": max_steps} | changes)
    texts = load_texts("unseen", lm, 8, 3)
    fields = {"model": "tiny", "dtype": "float32", "arrangement": "[e m]x(N/2)", "recipe": recipe}
    return [FitSpec(texts=(text.prefix(3),), trace=trace, **fields) for text in texts]


@pytest.fixture
def computed(monkeypatch):
    """What was computed: specs, and with which earlier results; both grow."""
    specs, begun = [], {}
    module = sys.modules["reproducer.results.run"]  # the package exports a function of this name
    really = module._computed

    def noted(wanted, earlier, progress):
        specs.extend(wanted)
        begun.update(earlier)
        return really(wanted, earlier, progress)

    monkeypatch.setattr(module, "_computed", noted)
    return specs, begun


@pytest.mark.parametrize("changes", [{}, {"restart_every": 20, "restart_below": 0.5}])
@pytest.mark.parametrize("trace", [False, True])
def test_ends_where_an_uninterrupted_fit_does(tiny, computed, tmp_path, changes, trace):
    first = compute(fits(tiny, SHORT, trace, **changes), progress=False)
    left = [r for r in first if not r.metrics["solved"]]
    assert 0 < len(left) < len(first)
    specs, begun = computed
    specs.clear()
    extended = compute(fits(tiny, LONG, trace, **changes), progress=False)
    assert len(specs) == len(left)
    assert {r.key for r in begun.values()} == {r.key for r in first}

    anew = compute(fits(tiny, LONG, trace, **changes), Store(tmp_path / "other"), progress=False)
    for ours, theirs, before in zip(extended, anew, first, strict=True):
        assert ours.key == theirs.key and ours.spec == theirs.spec
        assert ours.provenance["continues"] == before.key
        for name in ("accuracy", "solved", "steps"):
            assert ours.metrics[name] == theirs.metrics[name]
        assert ours.metrics["seconds"] >= before.metrics["seconds"]
        assert ours.arrays.keys() == theirs.arrays.keys()
        for name, values in ours.arrays.items():
            torch.testing.assert_close(values, theirs.arrays[name], rtol=1e-3, atol=1e-4)
        assert ours.key in Store()


def test_the_largest_smaller_budget_is_continued_and_no_larger_one(tiny, computed):
    by_budget = {
        steps: {r.key for r in compute(fits(tiny, steps), progress=False)}
        for steps in (20, SHORT, LONG)
    }
    specs, begun = computed
    begun.clear()
    compute(fits(tiny, SHORT + 10), progress=False)
    assert {r.key for r in begun.values()} == by_budget[SHORT]
    begun.clear(), specs.clear()
    shorter = compute(fits(tiny, 10), progress=False)
    assert not begun and len(specs) == len(shorter)


def test_packs_count_too(tiny, computed, tmp_path, monkeypatch):
    first = compute(fits(tiny, SHORT), progress=False)
    shipped.pack(first, "x", tmp_path / "packs")
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "empty"))
    packs = Shipped(tmp_path / "packs")
    monkeypatch.setattr(sys.modules["reproducer.results.run"], "shipped", lambda: packs)
    computed[0].clear()
    compute(fits(tiny, LONG), progress=False)
    assert len(computed[0]) == sum(not r.metrics["solved"] for r in first)


@pytest.mark.parametrize(
    "changes", [{"decay_to": 0.5}, {"lr": 0.02}, {"stop_accuracy": 0.9}, {"init_std": 0.5}]
)
def test_another_course_is_not_continued(tiny, computed, changes):
    compute(fits(tiny, SHORT, decay_to=changes.get("decay_to", 1.0)), progress=False)
    found = compute(fits(tiny, LONG, **changes), progress=False)
    assert not computed[1] and not any("continues" in r.provenance for r in found)


def test_a_budget_between_checks_cannot_be_continued(tiny, computed):
    first = compute(fits(tiny, SHORT + 5), progress=False)
    assert not any(name.startswith("end_") for r in first for name in r.arrays)
    compute(fits(tiny, LONG), progress=False)
    assert not computed[1]


def test_a_damaged_file_is_not_continued(tiny, computed):
    for result in compute(fits(tiny, SHORT), progress=False):
        Store().path(result.key).write_bytes(b"")
    compute(fits(tiny, LONG), progress=False)
    assert not computed[1]
