"""What makes a stored result trustworthy: digests of its content, and a check on every read.

A row holds the result's facts as JSON text, the SHA-256 of its arrays, and the SHA-256 of the row
itself. Reading recomputes both and compares the key with the digest of the spec, so what was
swapped, edited or damaged is never taken for a result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

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


def checked_facts(row: Row) -> Result:
    """The result of a row without its arrays.

    Raises:
        DamagedError: the row's digest, its JSON or its key is wrong.
    """
    if not all(isinstance(field, str) for field in row):
        raise DamagedError("a field is missing")
    if _digest_of(row[:-1]) != row.sha256:
        raise DamagedError("its facts are not those that were written")
    try:
        spec, metrics, provenance = (
            json.loads(text, parse_constant=_refuse)
            for text in (row.spec, row.metrics, row.provenance)
        )
    except ValueError as error:
        raise DamagedError(f"its facts are not JSON: {error}") from error
    if not all(isinstance(facts, dict) for facts in (spec, metrics, provenance)):
        raise DamagedError("its facts are not JSON objects")
    if digest(spec) != row.key:
        raise DamagedError("its spec is that of another key")
    return Result(row.key, spec, metrics, {}, provenance)


def checked_arrays(row: Row, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a row, if they are those that were written; else raises `DamagedError`."""
    if arrays_digest(arrays) != row.arrays_sha256:
        raise DamagedError("its arrays are not those that were written")
    return dict(arrays)


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
