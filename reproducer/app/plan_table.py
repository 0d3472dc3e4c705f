"""A plan as tables: for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from reproducer.app.detectable import Detectable
from reproducer.app.plan import Cost, Row

HEADER = ("experiment", "model", "fits", "stored", "readings", "M token-steps", "hours", "memory")
REMARKS = (
    "From what comparable stored fits took to what budgets allow; ≤ where later rounds, which "
    "hang on results, are counted as if every text were held.",
    "Hours are those of the fits; readings (attention, noise, timings, clamped fits, the training "
    "of encoders …) come on top.",
)


def plan_rows(rows: Iterable[Row]) -> list[list[str]]:
    """The cells of `HEADER` for each row."""
    return [
        [
            row.experiment,
            row.model,
            _fits(row),
            str(row.stored),
            str(row.readings),
            _range(*(cost.totals.token_steps / 1e6 for cost in _costs(row)), row.open),
            _range(*(cost.hours for cost in _costs(row)), row.open),
            _gigabytes(row),
        ]
        for row in rows
    ]


def plan_notes(rows: Sequence[Row], unplanned: dict[str, str]) -> list[str]:
    """What has to be said below the table, each once."""
    sources = dict.fromkeys(f"Hours by {row.hours_by}." for row in rows if row.hours_by)
    fits, compared = sum(r.missing for r in rows), sum(r.compared for r in rows)
    told = f"Stored fits tell the steps of {compared} of {fits} fits; others count as unsolved."
    stand_ins = dict.fromkeys(f"{r.experiment}: {note}." for r in rows for note in r.notes)
    failed = [f"{name}: not planned: {reason}" for name, reason in unplanned.items()]
    return [*REMARKS, told, *sources, *stand_ins, *failed]


def detectable_rows(claims: Iterable[Detectable]) -> list[list[str]]:
    """Claim, units, smallest effect or why none, criterion."""
    return [
        [
            f"{claim.experiment}: {claim.claim}" if claim.n == 0 else claim.claim,
            f"{claim.n} {claim.unit}",
            claim.why_not if claim.smallest_effect is None else f"{claim.smallest_effect:z.2f}",
            claim.criterion,
        ]
        for claim in claims
    ]


def gpu_table(told: dict[str, Any]) -> pd.DataFrame:
    """A plan as JSON data for a page: one row an experiment and model.

    Bounds: to the end of all budgets, and in rounds as if every text were held.
    """
    return pd.DataFrame(
        {
            "experiment": row["experiment"],
            "model": row["model"],
            "fits": ("≤ " if row["open"] else "") + str(row["bound"]["fits"]),
            "PFLOP": number(row["bound"]["flop"] / 1e15),
            "GPU hours": number(row["bound"]["hours"]),
            "weights, GB": number((row["weight_bytes"] or 0) / 1e9),
            "batch, GB": number((row["batch_bytes"] or 0) / 1e9),
            "fits × sequences × inputs": row["batch"] or "–",
            "readings": row["readings"],
        }
        for row in told["rows"]
    )


def model_table(told: dict[str, Any]) -> pd.DataFrame:
    """GPU hours of all experiments by model, at most, and the most memory that one takes."""
    frame = pd.DataFrame(
        {
            "model": row["model"],
            "hours": row["bound"]["hours"],
            "bytes": (row["weight_bytes"] or 0) + (row["batch_bytes"] or 0),
        }
        for row in told["rows"]
    )
    by_model = frame.groupby("model", sort=False)
    columns = {
        "GPU hours": by_model["hours"].sum().map(number),
        "memory, GB": (by_model["bytes"].max() / 1e9).map(number),
    }
    return pd.DataFrame(columns).reset_index()


def _costs(row: Row) -> tuple[Cost, Cost]:
    return row.expected, row.bound


def _fits(row: Row) -> str:
    bound = row.bound.totals.fits
    return f"{row.missing} (≤ {bound})" if row.open else str(row.missing)


def _range(low: float, high: float, is_open: bool) -> str:
    """Two numbers as a range, or as one where they look alike."""
    if is_open:
        return f"≤ {number(high)}"
    return number(high) if number(low) == number(high) else f"{number(low)} … {number(high)}"


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else "< 0.001"


def _gigabytes(row: Row) -> str:
    if row.weight_bytes is None:
        return "–"
    return f"{row.weight_bytes / 1e9:.2g} + {row.batch_bytes / 1e9:.2g}"
