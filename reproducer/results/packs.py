"""Results that the repository ships: packed, read-only, looked up before the user's own store.

`data/results/` holds for each experiment one parquet file (key, spec, metrics, provenance as
JSON, one row a result) and one safetensors file with the arrays, named `<key>/<array>`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors
import safetensors.torch

from reproducer.errors import ReproducerError
from reproducer.paths import shipped_dir
from reproducer.results.store import Result

COLUMNS = ("spec", "metrics", "provenance")


class Shipped:
    """A read-only store of packs. A folder without packs is an empty store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, dict[str, str]] = {}
        self._arrays: dict[str, list[tuple[str, safetensors.safe_open]]] = {}
        for table in sorted(folder.glob("*.parquet")):
            for row in pd.read_parquet(table).to_dict("records"):
                self._rows[row.pop("key")] = row
            # Opened once: reading a pack's header for every result would cost more than the rest.
            tensors = safetensors.safe_open(table.with_suffix(".safetensors"), framework="pt")
            for name in tensors.keys():
                key, array = name.split("/", 1)
                self._arrays.setdefault(key, []).append((array, tensors))

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str) -> Result | None:
        """The shipped result of `key`, or None."""
        if key not in self._rows:
            return None
        arrays = {
            array: tensors.get_tensor(f"{key}/{array}")
            for array, tensors in self._arrays.get(key, [])
        }
        row = self._rows[key]
        return Result(key, arrays=arrays, **{c: json.loads(row[c]) for c in COLUMNS})

    def facts(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Key, spec and metrics of every result, without arrays."""
        for key, row in self._rows.items():
            yield key, json.loads(row["spec"]), json.loads(row["metrics"])


@cache
def shipped(folder: Path | None = None) -> Shipped:
    """The repository's own packs, read once."""
    return Shipped(folder or shipped_dir())


def pack(results: list[Result], name: str, folder: Path | None = None) -> Path:
    """Write results as the pack `name`, replacing it; returns the parquet file's path."""
    if not results:
        raise ReproducerError(f"expected results to pack as {name!r}, got none")
    folder = folder or shipped_dir()
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"key": r.key, **{c: json.dumps(getattr(r, c), sort_keys=True) for c in COLUMNS}}
        for r in sorted(results, key=lambda r: r.key)
    ]
    arrays = {f"{r.key}/{k}": v.contiguous() for r in results for k, v in r.arrays.items()}
    table, tensors = folder / f"{name}.parquet", folder / f"{name}.safetensors"
    # Arrays first: a table must never name arrays that are not there.
    safetensors.torch.save_file(arrays, f"{tensors}.tmp")
    os.replace(f"{tensors}.tmp", tensors)
    pd.DataFrame(rows).to_parquet(f"{table}.tmp", compression="zstd", index=False)
    os.replace(f"{table}.tmp", table)
    shipped.cache_clear()
    return table
