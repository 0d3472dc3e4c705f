"""What follows about the first position: few words reached there, and five tests of the account.

The account itself stands in `reproducer.experiments.first_position`, whose frame is judged here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reproducer.analysis.intervals import mean_interval, ratio_interval, share_interval
from reproducer.experiments.claims import Verdict, above, below, verdict
from reproducer.models.zoo import RANDOM_PREFIX

if TYPE_CHECKING:
    import pandas as pd

    from reproducer.analysis.estimates import Interval

ARRANGEMENT = "[e] [m]x(N-1)"  # e predicts the first token from the first position
FREE, CLAMPED = "free", "clamped"
MOST, FEW = above(0.9, "nine words in ten"), below(0.5, "fewer words than not")
BACK = above(0.3, "three words in ten come back")
TENTH = above(0.1, "a tenth of the texts")
SHORT = below(0.5, "half as long; the account that length alone hides an input expects no change")
FADES = below(0.1, "a tenth of what arrives at the second position")


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Few words at the first position, most at the second; five tests of the account."""
    if df.empty:
        return []
    model = next((m for m in df["model"] if not m.startswith(RANDOM_PREFIX)), "")
    own, least = df[df["model"] == model], df["scale"].min()
    words = own[(own["task"] == "word") & (own["scale"] == least)]
    free = words[words["state"] == FREE]
    first, second = (free[free["position"] == place] for place in (1, 2))
    return [
        _claim(
            "few-words",
            "By inputs of usual length the first position can be made to say few words: share of "
            "the vocabulary that is reached",
            first,
            (_shared(first), FEW),
        ),
        _claim(
            "second-says-most",
            "After the beginning-of-text token the second position says most words: share of the "
            "vocabulary that is reached",
            second,
            (_shared(second), MOST),
        ),
        _learned(df, least),
        _claim(
            "clamped",
            "Keeping its state short gives the first position its words back: share reached, "
            "clamped minus free",
            words[words["position"] == 1],
            (_gained(words[words["position"] == 1], "state", CLAMPED, FREE), BACK),
        ),
        _long_start(own),
        _gradient(own),
        *_texts_claims(own[own["task"] == "text"]),
        _stays_short(own),
    ]


def _texts_claims(read: pd.DataFrame) -> list[Verdict]:
    usual, free = read[read["scale"] == 1], read[read["state"] == FREE]
    return [
        _claim(
            "texts-clamped",
            f"Keeping its state short lets an e at the first position predict, {ARRANGEMENT}: "
            "share of texts whose first token is right, clamped minus free",
            usual,
            (_gained(usual, "state", CLAMPED, FREE), TENTH),
            unit="texts",
        ),
        _claim(
            "texts-long-start",
            f"A long start lets an e at the first position predict, {ARRANGEMENT}: share of texts "
            "whose first token is right, from the long start minus from the usual",
            free,
            (_gained(free, "scale", free["scale"].max(), 1.0), TENTH),
            unit="texts",
        ),
    ]


def _learned(df: pd.DataFrame, least: float) -> Verdict:
    plain = df[(df["task"] == "word") & (df["position"] == 1) & (df["scale"] == least)]
    untrained = plain[plain["model"].str.startswith(RANDOM_PREFIX)]
    groups = list(untrained.groupby("model", sort=False))
    return _claim(
        "learned",
        "The fault is learned: on untrained weights the first position says most words, share of "
        "the vocabulary that is reached",
        untrained,
        *((_shared(part), MOST, model) for model, part in groups),
        untested="" if groups else "untrained weights",
    )


def _long_start(own: pd.DataFrame) -> Verdict:
    first = own[(own["task"] == "word") & (own["position"] == 1) & (own["state"] == FREE)]
    ends = first["scale"].max(), first["scale"].min()
    return _claim(
        "long-start",
        "An input that starts long can say words from the first position, as the account predicts: "
        "share reached from the longest start minus from the usual",
        first,
        (_gained(first, "scale", *ends), BACK),
    )


def _gradient(own: pd.DataFrame) -> Verdict:
    turns = own[own["task"] == "gradient"]
    last = turns[turns["layer"] == turns["layer"].max()]
    wide = last.pivot_table(index="item", columns="position", values="turn")
    wide = wide.reindex(columns=[1, 2]).dropna()
    return _claim(
        "gradient",
        "An input at the first position hardly moves that position's last state: turn of the "
        "state by its input, first position over second",
        last,
        (ratio_interval(wide[1], wide[2]), FADES),
        unit="draws",
    )


def _stays_short(own: pd.DataFrame) -> Verdict:
    first = own[(own["task"] == "length") & (own["position"] == 1)]
    usual, long = 1.0, first["scale"].max()
    wide = first.pivot_table(index="item", columns="scale", values="length", aggfunc="max")
    wide = wide.reindex(columns=[usual, long]).dropna() if len(first) and long != usual else None
    ratio = ratio_interval([], []) if wide is None else ratio_interval(wide[long], wide[usual])
    return _claim(
        "stays-short",
        "An input from a long start keeps the first position's state from growing: greatest length "
        f"over layers of a fitted text's, {ARRANGEMENT}, from the long start over from the usual",
        first,
        (ratio, SHORT),
        unit="texts",
    )


def _claim(
    name: str,
    claim: str,
    df: pd.DataFrame,
    *parts: tuple,
    unit: str = "words",
    untested: str = "",
) -> Verdict:
    return verdict(
        df,
        *parts,
        id=f"first_position.{name}",
        experiment="first_position",
        claim=claim,
        unit=unit,
        untested=untested,
    )


def _shared(part: pd.DataFrame) -> Interval:
    return share_interval(int(part["right"].sum()), len(part))


def _gained(part: pd.DataFrame, column: str, one: object, other: object) -> Interval:
    """The paired difference of two conditions over items."""
    wide = part.pivot_table(index="item", columns=column, values="right")
    if not {one, other} <= set(wide) or one == other:
        return mean_interval([], bounds=(-1, 1))
    return mean_interval((wide[one] - wide[other]).dropna(), bounds=(-1, 1))
