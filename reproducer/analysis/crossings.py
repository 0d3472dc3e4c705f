"""Where a rising curve first reaches a level."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def first_reached(x: ArrayLike, y: ArrayLike, level: float) -> float | None:
    """The least x at which the points (x, y), joined by straight lines, reach `level`.

    On logarithmic axes: x, y and `level` are positive, x rises. None if no point reaches it.
    """
    places, heights, target = (
        np.log(np.asarray(x, float)),
        np.log(np.asarray(y, float)),
        np.log(level),
    )
    reached = np.flatnonzero(heights >= target)
    if not len(reached):
        return None
    i = reached[0]
    if i == 0:
        return float(np.exp(places[0]))
    share = (target - heights[i - 1]) / (heights[i] - heights[i - 1])
    return float(np.exp(places[i - 1] + share * (places[i] - places[i - 1])))
