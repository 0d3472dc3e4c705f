"""Pairs of solutions of sampled texts, in groups and designs: what A7 and A8 compare.

A design is a way of sharing `m` and a kind of start; a group says what two texts have in common.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import cosine_distances
from reproducer.analysis.dyads import closer_interval
from reproducer.analysis.estimates import Interval
from reproducer.readings.continuations import context_of
from reproducer.results.solutions import Point

SAME_TEXT, SAME_CONTEXT, DIFFERENT = GROUPS = ("same text", "same context", "different contexts")
DESIGN = ["share", "start", "role"]


def pair_frames(points: list[Point], share: str, start: str) -> Iterator[pd.DataFrame]:
    """All pairs of solutions i < j, a frame for each kind of proto-token that is not shared."""
    if len(points) < 2:
        return
    a, b = np.triu_indices(len(points), k=1)
    text = np.array([point.text.id for point in points])
    context = np.array([context_of(point.text) for point in points])
    place = np.array(_start_numbers(points))
    groups = [text[a] == text[b], context[a] == context[b]]
    pairs = pd.DataFrame(
        {
            "share": share,
            "start": start,
            "group": np.select(groups, [SAME_TEXT, SAME_CONTEXT], DIFFERENT),
            "same_start": (place[a] == place[b]) & (start == "common"),
            **{f"context_{end}": context[i] for end, i in (("a", a), ("b", b))},
            **{f"text_{end}": text[i] for end, i in (("a", a), ("b", b))},
        }
    )
    for row, role in enumerate("em" if share == "none" else "e"):
        distances = cosine_distances(np.stack([point.rows[row] for point in points]))
        yield pairs.assign(role=role, distance=distances[a, b])


def _start_numbers(points: list[Point]) -> list[int]:
    """Which of the common starts a solution would have: its fit's seed, or its text's copy."""
    before = (point.fit.sequences[: point.sequence].count(point.text) for point in points)
    return [point.fit.seed + copy for point, copy in zip(points, before, strict=True)]


def compared(df: pd.DataFrame, near: str, far: str) -> tuple[pd.Series, pd.Series]:
    """Masks of the pairs of two groups that can be compared.

    Solutions of one text always start apart, so they are compared with others that do. From a
    common start, all other groups are compared among fits that began at one point.
    """
    alike = (df["start"] == "own") | (df["same_start"] == (near == SAME_CONTEXT))
    return alike & (df["group"] == near), alike & (df["group"] == far)


def closer(
    df: pd.DataFrame, near: str = SAME_CONTEXT, far: str = DIFFERENT, at_equal: str | None = None
) -> Interval:
    """The chance that a pair of `near` is closer than one of `far`, also at an equal column."""
    return closer_interval(df, *compared(df, near, far), at_equal=at_equal)


def title(share: str, start: str) -> str:
    """A design in words, as "shared m, common start"."""
    words = f"{'shared' if share == 'm' else 'own'} m"
    return words if start == "own" else f"{words}, {start} start"


def paper_design(df: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The pairs of `e` from random starts, and what they lack if `m` was not shared.

    With `m` shared as in the paper if that was run, else with own `m`.
    """
    of_e = df[(df["role"] == "e") & (df["start"] == "own")]
    shared = of_e[of_e["share"] == "m"]
    return (shared, "") if len(shared) else (of_e, "solutions that share m, as the paper's do")


def common_designs(df: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The pairs of fits from a common start, by a label of what is compared."""
    by_design = df[df["start"] == "common"].groupby(["share", "role"])
    return [
        (f"{role}-{title(share, 'own').replace(' ', '-')}", p) for (share, role), p in by_design
    ]
