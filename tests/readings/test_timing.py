"""The timing harness on calls of known duration."""

import time

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.readings.timing import Timing, time_call

CPU = torch.device("cpu")


def test_a_sleep_takes_as_long_as_it_sleeps():
    timing = time_call(lambda: time.sleep(0.05), CPU, repeats=5)
    assert len(timing.repeats) == 5
    assert 0.05 <= timing.seconds < 0.07


def test_the_median_ignores_one_slow_repeat():
    timing = Timing((1.0, 1.0, 9.0))
    assert timing.seconds == 1.0
    assert timing.spread == 8.0


def test_warm_ups_are_called_and_not_counted():
    calls = []
    time_call(lambda: (calls.append(0), time.sleep(0.002)), CPU, repeats=3, warm_ups=2)
    assert len(calls) == 5


def test_a_time_too_short_to_measure_is_an_error():
    with pytest.raises(ReproducerError, match="too short to time"):
        time_call(lambda: None, CPU, repeats=5)


def test_no_repeats_is_an_error():
    with pytest.raises(ReproducerError, match="at least 1 repeat"):
        time_call(lambda: None, CPU, repeats=0)
