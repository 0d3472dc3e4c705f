"""Parts of a batch side by side on a CPU's cores, each on one thread.

Splitting every operation over the cores makes them wait for each other hundreds of times a step;
splitting the batch makes them wait once (benchmarks/NOTES.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Part = TypeVar("Part")
Done = TypeVar("Done")


# With fewer input positions for each, reading the weights once for each costs more than it saves.
MIN_INPUTS = 32


def n_workers(device: torch.device, n_inputs: int) -> int:
    """How many parts of a batch of `n_inputs` input positions should run side by side."""
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    return threads if n_inputs >= threads * MIN_INPUTS else 1


def part_sizes(n_items: int, most: int, workers: int) -> list[int]:
    """Sizes of the parts of a batch: at most `most` each, even, and as many as keep all busy."""
    n_parts = -(-n_items // most)
    n_parts = min(n_items, -(-n_parts // workers) * workers)
    small, larger = divmod(n_items, n_parts)
    return [small + 1] * larger + [small] * (n_parts - larger)


def run_parts(function: Callable[[Part], Done], parts: Sequence[Part], workers: int) -> list[Done]:
    """`function` of each part, in their order; on a thread of its own for each worker."""
    if workers == 1 or len(parts) == 1:
        return [function(part) for part in parts]
    return list(_pool(workers).map(function, parts))


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that run each operation on themselves alone."""
    before, ready = torch.get_num_threads(), Barrier(workers)

    def one_thread() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes the setting of the moment when it first asks
        ready.wait()

    pool = ThreadPoolExecutor(workers, "solver", initializer=one_thread)
    for _ in pool.map(lambda _: None, range(workers)):
        pass
    # The setting is a thread's own, but also what later threads start with.
    torch.set_num_threads(before)
    return pool
