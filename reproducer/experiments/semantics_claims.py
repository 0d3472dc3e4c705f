"""What follows about meaning; the frame that is judged is `reproducer.experiments.semantics`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reproducer.analysis.clusters import closeness, closeness_near_one
from reproducer.experiments.base import STARTS
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.semantics_measures import usable, wins

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MIN_ACCURACY = 0.9  # what a verdict calls solved
MARGIN = 0.1
MORE = above(MARGIN, "one comparison in ten")
BEYOND_CHANCE = above(0.5 + MARGIN, "one comparison in ten beyond chance")


def claims(df: pd.DataFrame) -> list[Verdict]:
    """`m` is more semantic than `e`; and whether either is at all, where texts are what differs."""
    if df.empty:
        return []
    parts = {start: _parts(df, start) for start in STARTS}
    question = "same family closer (AUC), originals and paraphrases, own m"

    def claim(start: str, judged: list[tuple], **fields) -> Verdict:
        lacking = _lacking(df, parts[start], start)
        common = {"experiment": "semantics", "unit": "families", "untested": lacking}
        return verdict(df, *judged, **common, **fields)

    def more(start: str) -> list[tuple]:
        return [(closeness(m, e), MORE, length) for length, e, m in parts[start]]

    def beyond_chance(place: int) -> list[tuple]:
        return [(closeness(won[place]), BEYOND_CHANCE, won[0]) for won in parts["common"][-1:]]

    return [
        claim(
            "own",
            more("own"),
            id="B3.meaning",
            claim=f"m clusters by meaning more than e, fits from random starts: {question}, "
            "m minus e",
            published="m more than e (t-SNE maps, no number)",
        ),
        claim(
            "common",
            more("common"),
            id="B3.meaning-common-start",
            own=True,
            claim=f"m clusters by meaning more than e, fits from one start: {question}, m minus e",
        ),
        *(
            claim(
                "common",
                beyond_chance(place),
                id=f"B3.{token}",
                own=True,
                claim=f"{token} knows what a text means, fits from one start, the longest texts: "
                f"{question}, of {token}",
            )
            for place, token in ((1, "e"), (2, "m"))
        ),
    ]


def _parts(df: pd.DataFrame, start: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(length, wins of `e`, wins of `m`) of fits from one kind of start with `m` own and free.

    Lengths at which the encoder itself cannot tell families apart are left out: at those, what is
    left of the paraphrases has no meaning in common.
    """
    good = usable(df, "paraphrase")
    good = good[(good["start"] == start) & (good["share"] == "none") & ~good["warm_m"]]
    parts = []
    for length, some in good.groupby("length", sort=False):
        one = some[some["recipe"] == some["recipe"].iloc[0]]
        encoder = wins(one, "encoder")
        if encoder is not None and closeness_near_one(encoder.to_numpy()).low > 0.5 + MARGIN:
            of_e, of_m = (wins(one, token).to_numpy() for token in ("e", "m"))
            parts.append((f"N = {length}", of_e, of_m))
    return parts


def _lacking(df: pd.DataFrame, parts: list, start: str) -> str:
    if parts and df["min_accuracy"].iloc[0] >= MIN_ACCURACY:
        return ""
    return (
        f"paraphrases that the encoder tells apart, solved to {MIN_ACCURACY:g} from "
        f"{STARTS[start]}, with an m of their own that starts free"
    )
