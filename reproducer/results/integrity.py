"""What makes a stored result trustworthy: digests of its content, and a check on every read.

A row holds the result's facts as JSON text, the SHA-256 of its arrays, and the SHA-256 of the row
itself. Reading recomputes both, compares the key with the digest of the spec, and holds metrics and
arrays of a fit against each other, so what was swapped, edited or damaged is never taken for a
result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reproducer.results.specs import Result, digest


class DamagedError(Exception):
    """A stored result that is not what was written; the message says in what."""


class Row(NamedTuple):
    """A result as it lies in a store or a pack, its arrays apart."""

    key: str
    spec: str
    metrics: str
    provenance: str
    arrays_sha256: str
    sha256: str


def row_of(result: Result) -> Row:
    """The row of a result.

    Raises:
        ValueError: a key that is not its spec's, or metrics that are not JSON.
    """
    if digest(result.spec) != result.key:
        raise ValueError(f"expected the key of the spec, {digest(result.spec)}, got {result.key}")
    facts = (_json(result.spec), _json(result.metrics), _json(result.provenance))
    content = (result.key, *facts, arrays_digest(result.arrays))
    return Row(*content, _digest_of(content))


def checked(row: Row, arrays: Mapping[str, np.ndarray] | None = None) -> Result:
    """The result of a row; without `arrays` its facts alone.

    Raises:
        DamagedError: the row's digest, its JSON or its key is wrong, the arrays are not those that
            were written, or metrics and arrays of a fit do not agree.
    """
    if not all(isinstance(field, str) for field in row):
        raise DamagedError("a field is missing")
    if _digest_of(row[:-1]) != row.sha256:
        raise DamagedError("its facts are not those that were written")
    if arrays is not None and arrays_digest(arrays) != row.arrays_sha256:
        raise DamagedError("its arrays are not those that were written")
    spec, metrics, provenance = (
        _object(text) for text in (row.spec, row.metrics, row.provenance)
    )
    if digest(spec) != row.key:
        raise DamagedError("its spec is that of another key")
    if "recipe" in spec:
        _check_fit(spec, metrics, arrays)
    return Result(row.key, spec, metrics, dict(arrays or {}), provenance)


class FitMetrics(BaseModel):
    """The metrics of a solved spec: `accuracy` and `loss_nats` have one number a sequence.

    Both are None where the loss is no number, as when a fit failed before its first step ended.
    `solved`: whether the stopping accuracy was reached. `goes_on`: whether a larger budget may
    continue it. `failed_at`: the step at which the loss stopped being a number, if it did.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    accuracy: list[Annotated[float, Field(ge=0, le=1)] | None] = Field(min_length=1)
    loss_nats: list[Annotated[float, Field(ge=0)] | None]
    solved: bool
    steps: int = Field(ge=1)
    seconds: float = Field(ge=0)
    goes_on: bool = False
    failed_at: int | None = None


def _check_fit(
    spec: dict[str, Any], metrics: dict[str, Any], arrays: Mapping[str, np.ndarray] | None
) -> None:
    """Hold the metrics of a solved spec against the spec and the arrays."""
    try:
        facts = FitMetrics.model_validate(metrics)
        over_budget = facts.steps > spec["recipe"]["max_steps"]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(f"its metrics are wrong: {where}: {first['msg']}") from error
    except (KeyError, TypeError) as error:
        raise DamagedError("its recipe has no budget") from error
    if over_budget:
        raise DamagedError(f"it took {facts.steps} steps, more than its recipe allows")
    if len(facts.loss_nats) != len(facts.accuracy):
        raise DamagedError("it has not one loss for each accuracy")
    if arrays is None:
        return
    if not {"rows", "correct", "nats"} <= arrays.keys():
        raise DamagedError("an array is missing")
    rows, correct, nats = (arrays[name] for name in ("rows", "correct", "nats"))
    if rows.ndim != 2 or correct.ndim != 2 or nats.shape != correct.shape or not correct.size:
        raise DamagedError("its arrays have wrong shapes")
    if correct.dtype != bool or not _same_accuracy(correct.mean(1).tolist(), facts):
        raise DamagedError("its accuracy is not that of its correct tokens")
    losses = [math.nan if loss is None else loss for loss in facts.loss_nats]
    means = np.where(np.isfinite(nats).all(1), nats.mean(1, dtype=np.float64), np.nan)
    if not np.allclose(losses, means, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise DamagedError("its loss is not that of its tokens")


def _same_accuracy(means: list[float], facts: FitMetrics) -> bool:
    told = zip(facts.accuracy, facts.loss_nats, strict=True)
    # A loss that is no number may have an accuracy, of 0, in results of earlier versions.
    shares = [0.0 if share is None and loss is None else share for share, loss in told]
    return shares == means


def _object(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"its facts are not JSON: {error}") from error
    if not isinstance(data, dict):
        raise DamagedError("its facts are not JSON objects")
    return data


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and contents, whatever file they lie in."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def finite_or_none(metrics: Any) -> Any:
    """JSON data with None in place of numbers that JSON does not have."""
    if isinstance(metrics, float) and not math.isfinite(metrics):
        return None
    if isinstance(metrics, dict):
        return {key: finite_or_none(value) for key, value in metrics.items()}
    if isinstance(metrics, list | tuple):
        return [finite_or_none(value) for value in metrics]
    return metrics


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, allow_nan=False)


def _digest_of(fields: tuple[str, ...]) -> str:
    # A line for each field: JSON text and digests have no line breaks.
    return hashlib.sha256("\n".join(fields).encode(errors="surrogatepass")).hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
