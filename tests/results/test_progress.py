"""The line of long work: what it counts, and how it tells the time left."""

from dataclasses import replace

import pytest

from reproducer.results.known import Known
from reproducer.results.progress import Progress, following
from reproducer.results.run import compute, computing
from tests.results.samples import result, spec


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def line():
    clock = Clock()
    progress = Progress(shown=False, clock=clock)
    progress.pass_time = lambda seconds: setattr(clock, "now", clock.now + seconds)
    return progress


def of_fits(line, number, budget=100):
    """`number` fits of one text each are expected."""
    line.fits[1], line._budget_left = number, number * budget


def stored(budget=100):
    """A fit of one text."""
    return result(spec=spec(max_steps=budget))


def test_nothing_tells_the_time_left_at_first(line):
    of_fits(line, 4)
    line.pass_time(30)
    assert line.seconds_left() is None
    assert str(line) == "0 of 4 fits; 00:30 elapsed"


def test_before_a_fit_ends_the_budget_is_the_bound(line):
    of_fits(line, 4)
    line.pass_time(60)  # loading does not count
    line.begin()
    line.pass_time(10)
    line.stepped(40)  # ten of each
    assert line.seconds_left() == (360 / 4, True)
    assert str(line) == "0 of 4 fits; 01:10 elapsed, at most 01:30 left"


def test_then_the_mean_over_those_that_ended_with_all_steps_taken(line):
    """Two of four have ended after 20 steps each, the others are at 20: 80 steps, 2 ends."""
    of_fits(line, 4)
    line.begin()
    line.pass_time(8)
    line.stepped(80)
    for _ in range(2):
        line.ended(100)
        line.finished(stored())
    seconds, at_most = line.seconds_left()
    # A mean of 40 steps to an end, however many were taken before it: 80 for the two that are left.
    assert (seconds, at_most) == (pytest.approx(8), False)
    assert "2 of 4 fits" in str(line) and "about 00:08 left" in str(line)


def test_at_the_end_nothing_is_left(line):
    of_fits(line, 1)
    line.begin()
    line.pass_time(5)
    line.stepped(100)
    line.ended(100)
    line.finished(stored())
    assert line.seconds_left() == (0, False)
    assert str(line) == "1 of 1 fits; 00:05 elapsed"


def test_readings_take_as_long_as_those_before(line):
    line.readings[1] = 3
    line.begin()
    assert line.seconds_left() is None
    line.pass_time(2)
    line.finished(replace(stored(), spec={"kind": "surprisal"}))
    assert line.seconds_left() == (4, False)
    assert str(line) == "1 of 3 readings; 00:02 elapsed, about 00:04 left"


def test_each_spec_is_counted_once_and_none_that_is_known(tiny, tmp_path):
    line, known = Progress(shown=False), Known()
    specs = [spec(n) for n in range(3)]
    compute(specs[:1], known, progress=line)
    assert line.fits == [1, 1]
    line.expect(specs, known)
    line.expect(specs, known)
    assert line.fits == [1, 3]
    compute(specs, known, progress=line)
    assert line.fits == [3, 3] and line._budget_left == 0


def test_one_line_that_ends_with_all_done(tiny, capsys):
    specs = [spec(n) for n in range(3)]
    compute(specs)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "3 of 3 fits" in shown.splitlines()[-1].split("\r")[-1]
    compute(specs)
    assert capsys.readouterr().err == ""


def test_a_caller_that_has_seen_enough_gets_the_end_of_the_line(tiny, capsys):
    results = computing([spec(n) for n in range(3)], Known())
    next(results)
    results.close()
    assert capsys.readouterr().err.endswith("\n")


def test_the_line_of_a_longer_run_is_left_open(tiny):
    line = Progress(shown=False)
    with following(line) as same:
        assert same is line
    with following(False) as hidden:
        assert not hidden._shown
