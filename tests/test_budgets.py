"""Budgets: what another one has solved is not computed again, and is what would be computed."""

import sys

import pytest
import torch

from reproducer import compute, shipped
from reproducer.corpora import load_texts
from reproducer.recipes import Recipe
from reproducer.shipped import Shipped
from reproducer.specs import FitSpec
from reproducer.store import Store

SHORT, LONG = 40, 70


def fits(lm, max_steps, **changes):
    recipe = Recipe(**{"name": "test", "lr": 0.03, "max_steps": max_steps} | changes)
    texts = load_texts("unseen", lm, 8, 3)
    fields = {"model": "tiny", "dtype": "float32", "arrangement": "[e m]x(N/2)", "recipe": recipe}
    return [FitSpec(texts=(text.prefix(3),), **fields) for text in texts]


@pytest.fixture
def computed(monkeypatch):
    """Specs that were computed; grows."""
    specs = []
    module = sys.modules["reproducer.compute"]  # the package exports a function of this name
    really = module._computed

    def noted(wanted, progress):
        specs.extend(wanted)
        return really(wanted, progress)

    monkeypatch.setattr(module, "_computed", noted)
    return specs


def by_key(results):
    return {result.key: result for result in results}


def test_a_larger_budget_computes_only_what_the_smaller_left(tiny, computed, tmp_path):
    first = by_key(compute(fits(tiny, SHORT), progress=False))
    n_solved = sum(r.metrics["solved"] and r.metrics["steps"] < SHORT for r in first.values())
    assert 0 < n_solved < len(first)
    computed.clear()
    extended = by_key(compute(fits(tiny, LONG), progress=False))
    assert len(computed) == len(first) - n_solved

    anew = by_key(compute(fits(tiny, LONG), Store(tmp_path / "other"), progress=False))
    for key, result in extended.items():
        assert result.spec == anew[key].spec
        for name in ("accuracy", "solved", "steps"):
            assert result.metrics[name] == anew[key].metrics[name]
        torch.testing.assert_close(result.arrays["rows"], anew[key].arrays["rows"])
        assert result.provenance.get("solved_under", key) in {*first, key}


def test_what_was_taken_is_stored_under_its_own_key(tiny, computed):
    compute(fits(tiny, LONG), progress=False)
    computed.clear()
    shorter = compute(fits(tiny, SHORT), progress=False)
    taken = [r for r in shorter if "solved_under" in r.provenance]
    assert taken and all(r.metrics["steps"] <= SHORT and r.key in Store() for r in taken)
    assert all(r.spec["recipe"]["max_steps"] == SHORT for r in taken)
    assert {s.key for s in computed} == {r.key for r in shorter} - {r.key for r in taken}


def test_packs_count_too(tiny, computed, tmp_path, monkeypatch):
    shipped.pack(compute(fits(tiny, SHORT), progress=False), "x", tmp_path / "packs")
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "empty"))
    packs = Shipped(tmp_path / "packs")
    monkeypatch.setattr(sys.modules["reproducer.compute"], "shipped", lambda: packs)
    computed.clear()
    extended = compute(fits(tiny, LONG), progress=False)
    assert 0 < len(computed) < len(extended)


@pytest.mark.parametrize(
    "changes", [{"decay_to": 0.5}, {"lr": 0.02}, {"stop_accuracy": 0.9}, {"init_std": 0.5}]
)
def test_another_course_is_not_taken(tiny, computed, changes):
    compute(fits(tiny, SHORT, decay_to=changes.get("decay_to", 1.0)), progress=False)
    computed.clear()
    found = compute(fits(tiny, LONG, **changes), progress=False)
    assert len(computed) == len(found)
    assert not any("solved_under" in r.provenance for r in found)


def test_a_damaged_file_is_no_known_fit(tiny, computed):
    keys = [r.key for r in compute(fits(tiny, SHORT), progress=False)]
    for key in keys:
        Store().path(key).write_bytes(b"")
    computed.clear()
    assert len(compute(fits(tiny, LONG), progress=False)) == len(computed)
