"""The texts that the repository ships, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reproducer.errors import ReproducerError
from reproducer.paths import data_dir


def shipped_entries(name: str, *fields: str) -> Iterator[list[Any]]:
    """The `fields` of every line of `data/texts/<name>.jsonl`.

    Raises:
        ReproducerError: a file that is not there or cannot be read, a line that is not JSON or
            lacks a field.
    """
    path = data_dir() / "texts" / f"{name}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReproducerError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            values = [entry[field] for field in fields]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReproducerError(
                f"{path}, line {number}: expected JSON with {', '.join(fields)}, got {error!r}"
            ) from error
        yield values
