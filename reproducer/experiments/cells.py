"""Numbers as cells of a table and in the text of a claim."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number as a cell of a table, rounded, never -0; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:{'+' if signed else ''}z.{digits}f}"
