"""Which verdicts changed from one ledger to another, and in what they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reproducer.app.claims_table import number
from reproducer.app.ledgers import Row

# Another processor may round otherwise.
CLOSE = {"rel_tol": 1e-6, "abs_tol": 1e-9}
# These follow from the others, and are told with `claims --wide`.
FOLLOWS = {"id", "verdict", "p", "smallest_effect", "needs"}


@dataclass(frozen=True)
class Change:
    """A claim whose verdict differs.

    `before` and `after` are its words, None where a ledger lacks it. `why` holds what else differs:
    by field, the value before and after.
    """

    id: str
    before: str | None
    after: str | None
    why: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def other_word(self) -> bool:
        """Whether the word itself changed, or the claim came or went."""
        return self.before != self.after


def diff(before: Mapping[str, Row], after: Mapping[str, Row]) -> list[Change]:
    """What changed between two ledgers: claims with another word first."""
    ids = list(dict.fromkeys([*before, *after]))
    changes = [_change(name, before.get(name), after.get(name)) for name in ids]
    return sorted(
        (change for change in changes if change.other_word or change.why),
        key=lambda change: not change.other_word,
    )


def _change(name: str, old: Row | None, new: Row | None) -> Change:
    words = (row["verdict"] if row else None for row in (old, new))
    why = {}
    if old is not None and new is not None:
        # Ledgers of two commits may have different fields.
        fields = [f for f in new if f in old and f not in FOLLOWS]
        why = {f: (old[f], new[f]) for f in fields if not _same(old[f], new[f])}
    return Change(name, *words, why)


def _same(a: Any, b: Any) -> bool:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    return math.isclose(a, b, **CLOSE) if numbers else a == b


def as_json(changes: list[Change]) -> list[dict[str, Any]]:
    """The changes as JSON data."""
    return [asdict(change) for change in changes]


def told(changes: list[Change], total: int) -> Iterator[str]:
    """The changes as lines for a terminal; `total` is the number of claims of both ledgers."""
    words = sum(change.other_word for change in changes)
    yield (
        f"{total} claims: {words} with another word, {len(changes) - words} with the same word and "
        f"other numbers or terms, {total - len(changes)} unchanged"
    )
    for change in changes:
        yield ""
        yield f"{change.id}: {_words(change)}"
        yield from (f"    {line}" for line in _reasons(change.why))


def _words(change: Change) -> str:
    if change.before is None:
        return f"came, {change.after}"
    if change.after is None:
        return f"went, was {change.before}"
    return f"{change.before} → {change.after}" if change.other_word else f"{change.after} as before"


def _reasons(why: Mapping[str, tuple[Any, Any]]) -> Iterator[str]:
    for name, values in why.items():
        old, new = (_shown(value) for value in values)
        # Long texts stand below each other.
        yield f"{name}: {old} → {new}" if len(old + new) < 60 else f"{name}: {old}"
        if len(old + new) >= 60:
            yield f"{'→':>{len(name) + 1}} {new}"


def _shown(value: Any) -> str:
    if value is None or isinstance(value, float):
        return number(value)
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
