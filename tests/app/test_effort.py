"""The table of what was computed counts what is stored."""

import pytest

from reproducer import compute, load_params
from reproducer.app.effort import effort
from reproducer.experiments.base import grid
from reproducer.models.card import model_card
from reproducer.models.checkpoints import weightless_model
from reproducer.models.peak import matmul_flops_per_input


def test_counts_what_is_stored_and_computes_nothing(tiny, one_experiment, monkeypatch):
    assert effort("smoke").empty
    params = load_params("arrangements", "smoke")
    results = compute(grid(params, params.arrangements), progress=False)
    monkeypatch.setattr("reproducer.results.run.load_lm", None)
    row = effort("smoke").set_index("experiment").loc["arrangements"]
    assert row["fits"] == row["texts"] == len(results) == 36
    solved = sum(result.metrics["solved"] for result in results)
    assert row["solved"] == f"{solved / 36:.0%}"
    seconds = sum(result.metrics["seconds"] for result in results)
    extra = {"[e] [m]xN": 1, "[m] [e] [m]xN": 2}  # inputs that predict nothing
    n_inputs = [
        len(r.spec["texts"][0]["tokens"]) + extra.get(r.spec["arrangement"], 0) for r in results
    ]
    steps = sum(n * r.metrics["steps"] for n, r in zip(n_inputs, results, strict=True))
    expected = steps * matmul_flops_per_input(tiny.hf) / seconds / 1e9
    assert row["GFLOP/s"] == pytest.approx(expected, abs=1)


def test_a_weightless_model_has_the_same_products(tiny):
    hf = weightless_model(model_card("tiny"))
    assert matmul_flops_per_input(hf) == matmul_flops_per_input(tiny.hf)
    assert all(weight.is_meta for weight in hf.parameters())
