"""The table of what was computed counts what is stored."""

import pytest

from reproducer import compute, load_params
from reproducer.app.effort import effort
from reproducer.experiments import arrangements
from reproducer.models.peak import matmul_flops_per_input


def test_counts_what_is_stored_and_computes_nothing(tiny):
    assert effort("smoke").empty
    results = compute(arrangements.fits(load_params("arrangements", "smoke")), progress=False)
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
    expected = steps * matmul_flops_per_input(tiny) / seconds / 1e9
    assert row["GFLOP/s"] == pytest.approx(expected, abs=1)
