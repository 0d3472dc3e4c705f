"""Calibration: seconds of a pass, from a few that were timed."""

import pytest

from reproducer.solver.calibrate import Pass, Speed, fitted, speed_of


def test_a_line_is_found_again():
    timed = [(flop, 2e-3 + 3e-12 * flop) for flop in (1e7, 4e8, 5e9)]
    speed = fitted(timed)
    assert (speed.overhead, speed.per_flop) == pytest.approx((2e-3, 3e-12))
    assert speed.seconds(10, 1e9) == pytest.approx(0.023)


def test_neither_part_is_negative():
    speed = fitted([(1e9, 1.0), (2e9, 1.5), (4e9, 8.0)])
    assert speed.overhead >= 0 and speed.per_flop > 0


def test_one_pass_gives_a_rate():
    assert fitted([(2e9, 1.0)]) == Speed(0.0, 5e-10)


def test_times_real_steps(tiny):
    passes = [Pass(1, 3, 2), Pass(8, 9, 8)]
    small, large = (speed_of(tiny, [shape], limit_s=1.0) for shape in passes)
    both = speed_of(tiny, passes, limit_s=2.0)
    assert both.overhead + both.per_flop > 0
    # An overhead shared by more rows: a FLOP of a large pass costs less.
    assert large.per_flop < small.per_flop


def test_a_pass_that_would_overrun_is_left_out(tiny, monkeypatch):
    asked = []

    def slow(lm, shape, limit_s, clock):
        asked.append(shape)
        return 10.0

    monkeypatch.setattr("reproducer.solver.calibrate._seconds", slow)
    passes = [Pass(100, 9, 8), Pass(1, 3, 2)]
    speed_of(tiny, passes, limit_s=5.0)
    assert asked == [Pass(1, 3, 2)]
