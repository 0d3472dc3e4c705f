"""Verdicts as a table of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reproducer.experiments.cells import number
from reproducer.experiments.claims import Verdict

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

COLUMNS = (
    *("verdict", "claim", "published", "ours", "95 % interval", "n", "criterion"),
    *("smallest effect", "Holm", "experiment", "what would decide"),
)


def ledger_table(verdicts: list[Verdict], criteria: bool = True) -> Styler:
    """One row for each verdict: with its criterion on an experiment's page, else with its name."""
    rows = pd.DataFrame([_row(v) for v in verdicts], columns=list(COLUMNS))
    rows = rows.drop(columns=["experiment"] if criteria else ["criterion"])
    # The page colours a verdict by its class, and gives criteria room.
    marks = rows[["verdict"]].replace(" ", "-", regex=True)
    if criteria:
        marks["criterion"] = "criterion"
    styled = rows.style.hide(axis="index").set_table_attributes('class="dataframe ledger"')
    return styled.set_td_classes(marks)


def _row(v: Verdict) -> dict[str, str | int]:
    low, high = number(v.low), number(v.high)
    return v.model_dump(include={"verdict", "claim", "published", "criterion", "experiment"}) | {
        "ours": number(v.ours),
        "95 % interval": "–" if low == high == "–" else f"{low} … {high}",
        "n": f"{v.n} {v.unit}",
        "smallest effect": number(v.smallest_effect),
        "Holm": {None: "–", True: "survives", False: "does not survive"}[v.holm],
        "what would decide": v.needs or "–",
    }
