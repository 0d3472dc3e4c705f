"""Splitting a batch over threads: sizes, order, thread settings, and equal results."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reproducer.decoder.parallel import MIN_INPUTS, n_workers, part_sizes, run_parts
from reproducer.results.fits import FitSpec
from reproducer.solver import slots as slots_module
from reproducer.solver.memory import batch_problems
from reproducer.texts.sources import load_texts
from tests.solver.fits import RECIPE, solve_all


@given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 8))
def test_parts_cover_the_batch_evenly_and_fit(n_items, most, workers):
    sizes = part_sizes(n_items, most, workers)
    assert sum(sizes) == n_items
    assert min(sizes) >= 1 and max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) % workers == 0 or len(sizes) == n_items


def test_a_small_batch_and_a_gpu_are_not_split(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert n_workers(torch.device("cpu"), 4 * MIN_INPUTS) == 4
    assert n_workers(torch.device("cpu"), 4 * MIN_INPUTS - 1) == 1
    assert n_workers(torch.device("cuda"), 10**6) == 1


def test_a_batch_is_alike_for_all_workers(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert batch_problems(257, 1024, cpu) == 2
    assert batch_problems(17, 1024, cpu) == 60
    assert batch_problems(257, 512, cpu) == 1 and batch_problems(2000, 1024, cpu) == 1
    assert batch_problems(5, 15, cpu) == 3  # too small to be split


def test_each_worker_has_one_thread_and_the_caller_keeps_its_own():
    # In a process of its own: the tests may run with one thread, which would show nothing.
    script = (
        "import torch; from reproducer.decoder.parallel import run_parts; torch.set_num_threads(3);"
        "seen = run_parts(lambda part: (part, torch.get_num_threads()), [5, 6, 7], 2);"
        "print(seen, torch.get_num_threads())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[(5, 1), (6, 1), (7, 1)] 3"


def test_an_error_in_a_worker_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        run_parts(lambda part: 1 // part, [1, 0], 2)


@pytest.mark.parametrize("share", ["none", "m"])
def test_a_split_batch_gives_the_same_fits(tiny, share, monkeypatch):
    # A shared row gets its gradient from sequences of both parts.
    texts = tuple(text.prefix(4) for text in load_texts("unseen", "tiny", 5, 4))
    common = {"model": "tiny", "arrangement": "[e] [m]xN", "recipe": RECIPE}
    groups = [texts] if share == "m" else [(text,) for text in texts]
    problems = [FitSpec(texts=g, share=share, **common).problem(tiny) for g in groups]
    found = {}
    for workers in (1, 2, 3):
        monkeypatch.setattr(slots_module, "n_workers", lambda device, n, w=workers: w)
        found[workers] = solve_all(tiny, problems, RECIPE)
    for workers in (2, 3):
        for one, other in zip(found[1], found[workers], strict=True):
            torch.testing.assert_close(other.rows, one.rows, rtol=2e-3, atol=2e-3)
            assert torch.equal(other.correct, one.correct)
