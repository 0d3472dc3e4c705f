"""Numbers as cells of a table and in the text of a claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:  # scipy comes with it, which the command line can do without
    from reproducer.analysis.estimates import Interval


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number as a cell of a table, rounded, never -0; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:{'+' if signed else ''}z.{digits}f}"


def share(value: float | None) -> str:
    """A share as a cell of a table, in per cent; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.0%}"


def with_interval(interval: Interval, digits: int = 2, signed: bool = False) -> str:
    """An estimate and its interval as a cell of a table, the interval only where there is one."""
    if not interval.given:
        return number(interval.estimate, digits, signed)
    return with_ends(interval, digits, signed)


def with_ends(interval: Interval, digits: int = 2, signed: bool = False) -> str:
    """An estimate and the ends of its interval, a dash for each that there is not."""
    ends = interval.estimate, interval.low, interval.high
    centre, low, high = (number(value, digits, signed) for value in ends)
    return f"{centre} ({low} … {high})"


def dashed(frame: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """A table's numbers as text of so many digits; a dash where there is none."""
    return frame.map(lambda value: number(value, digits))


def mean_std(values: pd.Series, digits: int = 2) -> str:
    """A cell of a table: mean ± standard deviation of a sample; a dash if it has no values."""
    return spread(values.mean(), values.std(ddof=0), digits)


def spread(mean: float, std: float, digits: int = 2) -> str:
    """A mean and a standard deviation as a cell of a table; a dash where there is no mean."""
    if math.isnan(mean):
        return "–"
    return f"{number(mean, digits)}\u00a0±\u00a0{number(std, digits)}"


def table_of(cells: dict[tuple, dict[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    """A table from its rows, by their place in the levels `names` of the index."""
    index = pd.MultiIndex.from_tuples(list(cells), names=names)
    return pd.DataFrame(list(cells.values()), index=index)
