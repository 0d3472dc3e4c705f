"""What follows of the capacity of shapes; the frame is `reproducer.experiments.architecture`'s."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from reproducer.analysis.intervals import share_interval
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.held import ONE_STEP

DIMENSIONS = {"width": "width", "layers": "depth", "vocab": "vocabulary"}
TRAINED, UNTRAINED = "trained", "untrained"
MOST = above(0.5, "most texts")


def best(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model under the recipe by which it holds most tokens, in the mean."""
    if df.empty:
        return df
    means = df.groupby(["model", "recipe"], sort=False)["held_tokens"].mean()
    chosen = means.groupby("model", sort=False).idxmax()
    return df[[pair in set(chosen) for pair in zip(df["model"], df["recipe"], strict=True)]]


def claims(df: pd.DataFrame) -> list[Verdict]:
    """What training adds; what width, depth and vocabulary change without it."""
    if df.empty:
        return []
    counted = best(df)
    plain = counted[(counted["weights"] == UNTRAINED) & (counted["varied"] == "")]
    return [
        _judged(
            df,
            counted[counted["weights"] == TRAINED],
            plain,
            _twice,
            id="architecture.training",
            claim="Training on language adds capacity, of tokens drawn at random, too: texts of "
            "which trained weights hold at least twice as many tokens as untrained ones of their "
            "shape",
        ),
        *(_by_dimension(df, name, what) for name, what in DIMENSIONS.items()),
    ]


def _by_dimension(df: pd.DataFrame, name: str, what: str) -> Verdict:
    line = along(df, name)
    ends = [line[line[name] == end] for end in (line[name].max(), line[name].min())]
    if line[name].nunique() < 2:
        ends = [line[:0], line[:0]]
    if name == "vocab":
        claim = "The size of the vocabulary matters little to untrained weights: texts of which "
        claim += "the largest and the smallest hold nearly the same number of tokens"
        return _judged(df, *ends, _alike, id=f"architecture.{what}", claim=claim)
    claim = f"What untrained weights hold grows with {what}: texts of which those of the largest "
    claim += f"{what} hold at least twice as many tokens as those of the smallest"
    return _judged(df, *ends, _twice, id=f"architecture.{what}", claim=claim)


def along(df: pd.DataFrame, name: str) -> pd.DataFrame:
    """The untrained shapes that differ in one dimension, all under the recipe of the changed."""
    shapes = df[(df["weights"] == UNTRAINED) & df["varied"].isin(["", name])]
    return shapes[shapes["recipe"].isin(shapes.loc[shapes["varied"] == name, "recipe"])]


def _twice(more: pd.Series, less: pd.Series) -> pd.Series:
    return (more >= 2 * less) & (more > 0)


def _alike(one: pd.Series, other: pd.Series) -> pd.Series:
    """Within less than one step of the papers' grid of lengths."""
    return (one == other) | (np.maximum(one, other) < ONE_STEP * np.minimum(one, other))


def _judged(
    df: pd.DataFrame,
    one: pd.DataFrame,
    other: pd.DataFrame,
    test: Callable[[pd.Series, pd.Series], pd.Series],
    **fields: str,
) -> Verdict:
    """The share of the texts, paired, that pass a test of how many tokens either side holds.

    A share can be judged where a side holds nothing, or the whole of a text at the longest length.
    """
    held = [side.set_index("text")["held_tokens"] for side in (one, other)]
    both = pd.concat(held, axis=1, keys=["one", "other"], join="inner")
    passed = int(test(both["one"], both["other"]).sum())
    fields["claim"] += f"; one draw of weights a shape, {df['max_steps'].max()} steps at most"
    return verdict(
        df[df["varied"] != "family"],
        (share_interval(passed, len(both)), MOST),
        untested="" if len(both) else "texts held by both models",
        experiment="architecture",
        unit="texts",
        own=True,
        **fields,
    )
