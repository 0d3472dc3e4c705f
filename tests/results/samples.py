"""Results that no model computed, whole in every respect that a store checks."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import numpy as np

from reproducer.results.fits import FitSpec
from reproducer.results.integrity import Row, _digest_of, arrays_digest
from reproducer.results.specs import Result, digest
from reproducer.results.store import Store
from reproducer.solver.recipes import Recipe, recipe
from reproducer.texts.sources import Text

PROVENANCE = {"dtype": "float32", "device": "cpu", "commit": "none", "date": "2026-01-01"}


def spec(number: int = 0, max_steps: int = 10, **changes: Any) -> FitSpec:
    """A fit of a text of two tokens."""
    text = Text(source="own", id=str(number), tokens=(number % 250, 7))
    fields = {"model": "tiny", "dtype": "float32", "arrangement": "[e] [m]xN", "texts": (text,)}
    return FitSpec(**fields | {"recipe": Recipe(name="x", max_steps=max_steps)} | changes)


def result(number: int = 0, **changes: Any) -> Result:
    """A result of `spec`: one of two tokens is right."""
    asked = changes.pop("spec", None) or spec(number)
    nats = np.array([[0.5, 1.5]], np.float32)
    metrics = {"accuracy": [0.5], "loss_nats": [1.0], "solved": False, "steps": 10, "seconds": 0.5}
    arrays = {
        "rows": np.arange(8, dtype=np.float32).reshape(2, 4) + number,
        "correct": np.array([[True, False]]),
        "nats": nats,
    }
    facts = {"metrics": metrics, "arrays": arrays, "provenance": PROVENANCE} | changes
    return Result(asked.key, asked.model_dump(mode="json"), **facts)


def same(a: Result | None, b: Result) -> bool:
    """Whether two results are equal to the last bit."""
    return (
        a is not None
        and (a.key, a.spec, a.metrics, a.provenance) == (b.key, b.spec, b.metrics, b.provenance)
        and arrays_digest(a.arrays) == arrays_digest(b.arrays)
    )


def forged(result: Result, **texts: str) -> Row:
    """The row of a result whose content is not checked, with a digest that is right for it."""
    facts = {name: json.dumps(getattr(result, name)) for name in ("spec", "metrics", "provenance")}
    facts |= {"key": result.key, "arrays_sha256": arrays_digest(result.arrays)} | texts
    fields = [facts[name] for name in Row._fields[:-1]]
    return Row(*fields, _digest_of(tuple(fields)))


def raw(store: Store, command: str, *values: Any) -> None:
    """Change the file of a store behind its back."""
    store.close()
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute(command, values)
    connection.close()


def key_of(spec: dict[str, Any]) -> str:
    """The key of a spec as JSON data."""
    return digest(spec)


def set_aside(store: Store) -> list[tuple[str, str]]:
    """The keys that a store found damaged, each with the reason."""
    store.close()
    connection = sqlite3.connect(store.path)
    rows = connection.execute("SELECT key, reason FROM damaged").fetchall()
    connection.close()
    return rows


def text(n_tokens: int, mark: int = 0) -> Text:
    """A text of tokens that count from `mark`, its name."""
    return Text(source="own", id=str(mark), tokens=tuple(range(mark, mark + n_tokens)))


def fit_of(*texts: Text, **changes: Any) -> FitSpec:
    """A fit of `texts` by the paper's recipe, of a hundred steps at most."""
    fields = {"model": "tiny", "arrangement": "[e] [m]xN", "texts": texts}
    return FitSpec(**fields | {"recipe": recipe("paper", 100)} | changes)
