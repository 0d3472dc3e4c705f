"""How long a call takes: warm-up, then the median of repeats, by the device's own clock.

On CUDA the time between two events on the stream is taken, since a call returns before its
work is done; elsewhere the processor's performance counter.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from reproducer.errors import ReproducerError

# A time is trusted if it is this many times what timing nothing at all takes.
MIN_TICKS = 20


@dataclass(frozen=True)
class Timing:
    """Seconds of each repeat, in order of measurement."""

    repeats: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The median over the repeats."""
        return statistics.median(self.repeats)

    @property
    def spread(self) -> float:
        """Slowest minus fastest repeat, as a share of the median."""
        return (max(self.repeats) - min(self.repeats)) / self.seconds


def time_call(
    call: Callable[[], object], device: torch.device, *, repeats: int = 5, warm_ups: int = 1
) -> Timing:
    """Time `call` on `device`.

    Raises:
        ReproducerError: fewer than one repeat, or a call too short for the clock to measure.
    """
    if repeats < 1:
        raise ReproducerError(f"expected at least 1 repeat to time, got {repeats}")
    clock = _cuda_seconds if device.type == "cuda" else _cpu_seconds
    for _ in range(warm_ups):
        clock(call)
    timing = Timing(tuple(clock(call) for _ in range(repeats)))
    shortest = MIN_TICKS * statistics.median(clock(_nothing) for _ in range(25))
    if timing.seconds < shortest:
        raise ReproducerError(
            f"too short to time: {timing.seconds:.1e} s, expected at least {shortest:.1e} s; "
            "time more work in one call"
        )
    return timing


def _nothing() -> None:
    """What timing costs by itself."""


def _cpu_seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _cuda_seconds(call: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000
