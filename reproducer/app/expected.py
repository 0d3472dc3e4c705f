"""What someone who recomputes the shipped results on other hardware may expect of each claim.

Fits hang on rounding: where another processor rounds otherwise, some are solved that were not, as
under another seed. The texts stay the same, so the estimates move less than they would with other
texts, and the interval over texts bounds how far.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from reproducer.app.claims_table import number
from reproducer.app.ledgers import Row, ledger_at
from reproducer.errors import ReproducerError
from reproducer.files import replace_text
from reproducer.paths import data_dir

Mark = Literal["OK", "WARN", "FAIL"]
MARKS: tuple[Mark, ...] = get_args(Mark)
FILE = "expected.json"
KEPT = ("experiment", "verdict", "ours", "low", "high", "n", "unit", "model", "criterion")
# What must be alike for two verdicts to answer one question. How many units there are is not part
# of it where it counts those that were solved.
TERMS = ("model", "criterion", "unit")
OPPOSITES = ({"reproduced", "contradicted"}, {"holds", "does not hold"})
# Experiments that measure how fast the machine is.
TIMED = ("throughput", "training_time")
WHY_TEXTS = "other rounding moves an estimate less than other {unit} would, as the interval allows"
WHY_TIMED = "a time, which is the machine's own: only the word is compared, and may differ"
WHY_FEW = "no interval with so few {unit}: only the word is compared"
WHY_NONE = "nothing was measured: only the word is compared"


class Confirmation(NamedTuple):
    """A claim of a fresh ledger: `mark` against what was expected, and the reason for it."""

    id: str
    mark: Mark
    expected: str
    came: str | None
    reason: str


def expected_from(rows: Mapping[str, Row], profile: str) -> dict[str, Any]:
    """What a ledger leads to expect: of each claim its word, its numbers and a tolerance.

    `tolerance` is the range in which a new estimate is expected, an end of None being open; it is
    None where estimates are not compared. `why` says so.
    """
    claims = {}
    for name, row in rows.items():
        why, tolerance = _tolerance(row)
        facts = {field: row[field] for field in KEPT}
        claims[name] = facts | {"tolerance": tolerance, "why": why.format(unit=row["unit"])}
    return {"profile": profile, "claims": claims}


def _tolerance(row: Row) -> tuple[str, list[float | None] | None]:
    if row["experiment"] in TIMED:
        return WHY_TIMED, None
    if row["ours"] is None:
        return WHY_NONE, None
    if row["low"] is row["high"] is None:
        return WHY_FEW, None
    return WHY_TEXTS, [row["low"], row["high"]]


def write_expected(ledger: Path, profile: str) -> Path:
    """Write beside a shipped ledger what it leads to expect."""
    path = ledger.with_name(FILE)
    content = expected_from(ledger_at(str(ledger), profile), profile)
    replace_text(path, json.dumps(content, indent=1) + "\n")
    return path


def read_expected() -> dict[str, Any]:
    """What the repository's shipped results lead to expect: `profile` and `claims`."""
    path = data_dir() / "results" / FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReproducerError(f"cannot read {path}: {error}; `reproduce pack` writes it") from error


def confirm(rows: Mapping[str, Row], expected: Mapping[str, Any]) -> list[Confirmation]:
    """Each expected claim against a fresh ledger.

    FAIL: the claim is missing, its word is the opposite, or the two intervals have nothing in
    common. WARN: another word, an estimate outside the tolerance, or other terms (model, criterion,
    unit), which make it another question. A time never fails.
    """
    marks = []
    for name, wanted in expected["claims"].items():
        mark, reason = _marked(rows.get(name), wanted)
        came = rows[name]["verdict"] if name in rows else None
        marks.append(Confirmation(name, mark, wanted["verdict"], came, reason))
    return marks


def _marked(row: Row | None, wanted: Row) -> tuple[Mark, str]:
    if row is None:
        return "FAIL", "the ledger has no such claim"
    other = [term for term in TERMS if row.get(term) != wanted[term]]
    if other:
        return "WARN", "; ".join(f"{t}: expected {wanted[t]}, got {row.get(t)}" for t in other)
    if row["verdict"] != wanted["verdict"]:
        opposite = {row["verdict"], wanted["verdict"]} in OPPOSITES
        failed = opposite and wanted["experiment"] not in TIMED
        reason = f"expected {wanted['verdict']}, got {row['verdict']}"
        return "FAIL" if failed else "WARN", reason
    if wanted["tolerance"] is None or row["ours"] is None:
        return "OK", "the same word"
    interval, tolerance = (row["low"], row["high"]), wanted["tolerance"]
    if not _meet(interval, tolerance):
        return "FAIL", f"{_range(*interval)} and {_range(*tolerance)} have nothing in common"
    inside = _meet((row["ours"], row["ours"]), tolerance)
    told = f"{number(row['ours'])} is {'inside' if inside else 'outside'} {_range(*tolerance)}"
    return "OK" if inside else "WARN", told


def _meet(a: Sequence[float | None], b: Sequence[float | None]) -> bool:
    """Whether two ranges have a value in common; an end of None is open."""
    (a_low, a_high), (b_low, b_high) = a, b
    left = a_high is None or b_low is None or b_low <= a_high
    right = b_high is None or a_low is None or a_low <= b_high
    return left and right


def _range(low: float | None, high: float | None) -> str:
    return f"{number(low)} … {number(high)}"


def told(rows: list[Confirmation]) -> Iterator[str]:
    """Lines for a terminal: what fails first, and the counts."""
    for mark in reversed(MARKS):
        for row in rows:
            if row.mark == mark:
                yield f"{mark:4}  {row.id}: {row.reason}"
    marks = [row.mark for row in rows]
    yield ", ".join(f"{marks.count(mark)} {mark}" for mark in MARKS)
