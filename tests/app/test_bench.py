"""The bench: the obvious loop is right, numbers are consistent, memory is seen."""

import json

import pytest
import torch

from reproducer.app.bench import OBVIOUS_STEPS, _obvious_module, bench
from reproducer.errors import ReproducerError
from reproducer.models.peak import PeakMemory, matmul_flops_per_input, matmul_peak_flops
from reproducer.solver.recipes import recipe
from reproducer.solver.solve import solve
from tests.solver.fits import fit_specs


def test_the_obvious_loop_and_the_solver_agree(tiny):
    """What is compared for speed computes the same thing."""
    (spec,) = fit_specs(tiny, 1, recipe=recipe("paper", max_steps=20))
    problem = spec.problem(tiny)
    parts = problem.rows, problem.index[0], problem.targets[0], problem.offset
    rows, accuracy = _obvious_module().obvious_fit(tiny.hf, *parts, n_steps=20)
    ((_, ours),) = solve(tiny, [problem], recipe("paper", max_steps=20))
    assert ours.accuracy.item() == pytest.approx(accuracy)
    assert rows.shape == ours.rows.shape


def test_bench_reports_what_the_contract_names(tiny, monkeypatch):
    monkeypatch.setattr("reproducer.models.peak.SECONDS_PER_SHAPE", 0.01)
    monkeypatch.setattr("reproducer.app.bench.SOLVER_STEPS", 2)
    monkeypatch.setattr("reproducer.app.bench.batch_inputs", lambda lm: 20)
    found = json.loads(json.dumps(bench(tiny, lengths=(2, 4), repeats=2)))
    assert {"device", "model", "rows"} <= found.keys()
    assert [row["n_tokens"] for row in found["rows"]] == [2, 4]
    for row in found["rows"]:
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert row["obvious_text_steps_per_s"] > 0 and 0 < row["peak_share"] < 1
        assert {"solver_text_steps_per_s", "obvious_peak_bytes", "solver_peak_bytes"} <= row.keys()
    assert OBVIOUS_STEPS >= 1


def test_impossible_lengths(tiny):
    with pytest.raises(ReproducerError, match="lengths of at least 1 and 1 to 1000 repeats"):
        bench(tiny, lengths=(0,))


def test_memory_is_not_measured_where_the_kernel_does_not_tell(tiny, monkeypatch):
    def no_such_file(self, *arguments):
        raise OSError("no /proc here")

    monkeypatch.setattr("pathlib.Path.write_text", no_such_file)
    with PeakMemory(torch.device("cpu")) as peak:
        pass
    assert peak.bytes is None


def test_a_large_array_is_seen():
    with PeakMemory(torch.device("cpu")) as peak:
        torch.ones(32 << 20).sum()  # 128 MiB
    assert peak.bytes is None or (120 << 20) < peak.bytes < (300 << 20)


def test_freed_memory_that_is_taken_again_is_seen():
    held = [torch.ones(16 << 10) for _ in range(1000)]  # 64 KiB each: from the C library's heap
    last = held[-1]  # keeps the heap from shrinking by itself
    del held
    with PeakMemory(torch.device("cpu")) as peak:
        again = [torch.ones(16 << 10) for _ in range(1000)]
    assert len(again) == 1000 and last.sum() == 16 << 10
    assert peak.bytes is None or peak.bytes > 50 << 20


def test_flops_count_every_matrix_once(tiny):
    config = tiny.config
    d, inner, kv = config.hidden_size, config.intermediate_size, 16
    block = 2 * d * d + 2 * d * kv + 3 * d * inner
    expected = 4 * (config.num_hidden_layers * block + config.vocab_size * d)
    assert matmul_flops_per_input(tiny.hf) == expected
    assert matmul_peak_flops(torch.device("cpu"), torch.float32) > 1e8
