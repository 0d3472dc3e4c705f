"""The line that long work shows: what is done of all, the time it took, and the time left.

The time left follows from text-steps. A fit takes at most its budget of them. Once enough have
ended, the share of their budgets that the others will take is estimated as all steps taken so far,
over the budgets of those that ended. The steps of these alone would favour short fits, which end
first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from reproducer.results.known import Known
from reproducer.results.specs import Result, SolveSpec, Spec, with_needs

# Between two redraws: a terminal is watched, a log is kept.
SECONDS_IN_TERMINAL, SECONDS_IN_LOG = 1, 10


class Progress:
    """Fits and readings done of those that are missing, on one line of standard error.

    One may follow several calls of `compute`: what all of them will need is told by `expect`.
    """

    def __init__(self, shown: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown, self._clock = shown, clock
        self._began = self._redrawn = clock()
        self._bar: tqdm | None = None
        self._seen: set[str] = set()
        self.fits, self.readings = [0, 0], [0, 0]  # done, of
        self._budget_left = 0  # text-steps of the fits that have not ended
        self._taken = self._budget_of_ended = 0  # text-steps
        self._solving = self._reading = 0.0  # seconds
        self._since = self._began

    def expect(self, specs: Sequence[Spec], known: Known) -> None:
        """Count those of `specs`, and of all that they need, that are not known."""
        for spec in with_needs(specs, known):
            if spec.key in self._seen or spec in known:
                continue
            self._seen.add(spec.key)
            if isinstance(spec, SolveSpec):
                self.fits[1] += 1
                self._budget_left += _sequences(spec) * spec.recipe.max_steps
            else:
                self.readings[1] += 1

    def begin(self) -> None:
        """Solving or reading begins: what passed until here was loading."""
        self._since = self._clock()
        self._redraw()

    def stepped(self, text_steps: int) -> None:
        """So many text-steps were taken since the last call."""
        self._taken += text_steps
        self._solving += self._lap()
        self._redraw()

    def ended(self, budget: int) -> None:
        """A fit that took steps here has ended; `budget` is the most text-steps it could take."""
        self._budget_of_ended += budget

    def finished(self, result: Result) -> None:
        """A result is stored."""
        if "recipe" in result.spec:
            self.fits[0] += 1
            budget = len(result.metrics["accuracy"]) * result.spec["recipe"]["max_steps"]
            self._budget_left = max(0, self._budget_left - budget)
        else:
            self.readings[0] += 1
            self._reading += self._lap()
        self._redraw()

    def seconds_left(self) -> tuple[float, bool] | None:
        """Seconds to the end, and whether that is the most it can be; None if nothing tells yet."""
        seconds, at_most = 0.0, False
        if self._budget_left:
            if not (self._taken and self._solving):
                return None
            at_most = self._taken >= self._budget_of_ended
            if at_most:
                steps = self._budget_left - (self._taken - self._budget_of_ended)
            else:
                steps = self._budget_left * self._taken / self._budget_of_ended
            seconds += max(0.0, steps) * self._solving / self._taken
        done, of = self.readings
        if done < of:
            if not done:
                return (seconds, False) if seconds else None
            seconds += (of - done) * self._reading / done
        return seconds, at_most

    def __str__(self) -> str:
        counts = [
            f"{done} of {of} {what}"
            for (done, of), what in ((self.fits, "fits"), (self.readings, "readings"))
            if of
        ]
        told = f"{', '.join(counts)}; {_clock_time(self._clock() - self._began)} elapsed"
        left = self.seconds_left()
        if left is None or (self.fits[0] == self.fits[1] and self.readings[0] == self.readings[1]):
            return told
        return f"{told}, {'at most' if left[1] else 'about'} {_clock_time(left[0])} left"

    def close(self) -> None:
        """Show the line as it ends."""
        if self._bar is not None:
            self._bar.set_description_str(str(self), refresh=False)
            self._bar.close()
            self._bar = None

    def _lap(self) -> float:
        before, self._since = self._since, self._clock()
        return self._since - before

    def _redraw(self) -> None:
        if not self._shown:
            return
        if self._bar is None:
            self._bar = tqdm(bar_format="{desc}", file=sys.stderr)
        elif self._clock() - self._redrawn < _seconds_between():
            return
        self._redrawn = self._clock()
        self._bar.set_description_str(str(self))


@contextmanager
def following(progress: Progress | bool) -> Iterator[Progress]:
    """The line given, or for True a new one, or for False one that is not shown."""
    if isinstance(progress, Progress):
        yield progress
        return
    line = Progress(shown=progress)
    try:
        yield line
    finally:
        line.close()


def _sequences(spec: SolveSpec) -> int:
    """How many sequences a fit trains; other kinds have one."""
    return len(getattr(spec, "sequences", (spec,)))


def _seconds_between() -> float:
    return SECONDS_IN_TERMINAL if sys.stderr.isatty() else SECONDS_IN_LOG


def _clock_time(seconds: float) -> str:
    return tqdm.format_interval(seconds)
