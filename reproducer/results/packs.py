"""Results that the repository ships: packed, read-only, looked up before the user's own store.

`data/results/` holds for each experiment one parquet file (a row for each result, see
`reproducer.results.integrity`), one safetensors file with the arrays, named `<key>/<array>`, and
for all of them a manifest with the digests of the tables. Whatever is read is checked. A pack that
is damaged costs one line and its own results, no others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

import pyarrow
import pyarrow.parquet
import safetensors
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.paths import shipped_dir
from reproducer.results.budgets import budget_of, course
from reproducer.results.integrity import DamagedError, Row, checked_arrays, checked_facts, row_of
from reproducer.results.specs import Result

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"


class Packs:
    """A read-only store of packs. A folder without packs is an empty store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, tuple[Row, Path]] = {}
        # Each pack's open file, and the names of the arrays of each of its results.
        self._files: dict[Path, tuple[safetensors.safe_open, dict[str, list[str]]]] = {}
        for table, rows in _tables(folder):
            for row in rows:
                self._rows.setdefault(row.key, (row, table.with_suffix(".safetensors")))

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str, arrays: bool = True) -> Result | None:
        """The shipped result of `key`, or None; without `arrays` only its facts are read."""
        if key not in self._rows:
            return None
        row, tensors = self._rows[key]
        try:
            result = checked_facts(row)
            if arrays:
                result.arrays.update(checked_arrays(row, self._arrays(key, tensors)))
            return result
        except DamagedError as damage:
            # Told once; from here on it counts as missing.
            log.warning("shipped result %s of %s is damaged: %s", key[:12], tensors.stem, damage)
            del self._rows[key]
            return None

    def digest(self, key: str) -> str | None:
        """The digest of the row of `key`, as it was written."""
        return self._rows[key][0].sha256 if key in self._rows else None

    def smaller_budget(self, name: str, budget: int) -> str | None:
        """The key of the fit of course `name` with the largest budget below `budget`."""
        smaller = [entry for entry in self._courses.get(name, ()) if entry[0] < budget]
        return max(smaller)[1] if smaller else None

    @cached_property
    def _courses(self) -> dict[str, list[tuple[int, str]]]:
        courses: dict[str, list[tuple[int, str]]] = {}
        for key in list(self._rows):
            fit = self.get(key, arrays=False)
            if fit and (name := course(fit)):
                courses.setdefault(name, []).append((budget_of(fit), key))
        return courses

    def _arrays(self, key: str, path: Path) -> dict[str, object]:
        try:
            if path not in self._files:
                self._files[path] = _opened(path)
            file, names = self._files[path]
            return {name: file.get_tensor(f"{key}/{name}") for name in names.get(key, ())}
        except FileNotFoundError as error:
            raise DamagedError(f"{path.name} is not there") from error
        except OSError as error:
            raise ReproducerError(f"cannot read {path}: {error}") from error
        except (safetensors.SafetensorError, ValueError, TypeError) as error:
            raise DamagedError(f"{path.name} cannot be read ({error})") from error


def _opened(path: Path) -> tuple[safetensors.safe_open, dict[str, list[str]]]:
    file, names = safetensors.safe_open(path, framework="np"), {}
    for full in file.keys():
        key, _, name = full.partition("/")
        names.setdefault(key, []).append(name)
    return file, names


def _tables(folder: Path) -> Iterator[tuple[Path, list[Row]]]:
    """Every pack's table and its rows; a damaged table is reported and left out."""
    digests = _manifest(folder)
    for name in sorted(digests.keys() | {path.name for path in folder.glob("*.parquet")}):
        table = folder / name
        try:
            content = table.read_bytes()
        except FileNotFoundError:
            log.warning("the pack %s, which the manifest names, is not there", table)
            continue
        except OSError as error:
            raise ReproducerError(f"cannot read {table}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != digests.get(name):
            log.warning("the pack %s is damaged: it is not the one of the manifest", table)
            continue
        columns = pyarrow.parquet.read_table(pyarrow.BufferReader(content)).to_pydict()
        fields = (columns[name] for name in Row._fields)
        yield table, [Row(*row) for row in zip(*fields, strict=True)]


def _manifest(folder: Path) -> dict[str, str]:
    """The SHA-256 of each table by its file name."""
    path = folder / MANIFEST
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReproducerError(f"cannot read {path}: {error.strerror}") from error
    except ValueError:
        digests = None
    if not isinstance(digests, dict):
        log.warning("the manifest %s is damaged: none of its packs can be trusted", path)
        return {}
    return digests


@cache
def packs(folder: Path | None = None) -> Packs:
    """The repository's own packs, read once."""
    return Packs(folder or shipped_dir())


def pack(results: list[Result], name: str, folder: Path | None = None) -> Path:
    """Write results as the pack `name`, replacing it; returns the parquet file's path."""
    if not results:
        raise ReproducerError(f"expected results to pack as {name!r}, got none")
    folder = folder or shipped_dir()
    folder.mkdir(parents=True, exist_ok=True)
    results = sorted(results, key=lambda result: result.key)
    rows = [row_of(result)._asdict() for result in results]
    arrays = {f"{r.key}/{name}": array for r in results for name, array in r.arrays.items()}
    table, tensors = folder / f"{name}.parquet", folder / f"{name}.safetensors"
    safetensors.numpy.save_file(arrays, f"{tensors}.tmp")
    columns = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(columns, f"{table}.tmp", compression="zstd")
    digest = hashlib.sha256(Path(f"{table}.tmp").read_bytes()).hexdigest()
    manifest = folder / MANIFEST
    digests = _manifest(folder) | {table.name: digest}
    Path(f"{manifest}.tmp").write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")
    # Arrays first: a table must never name arrays that are not there. Between these lines a reader
    # sees a pack that does not agree with the manifest, and leaves it out.
    for path in (tensors, table, manifest):
        os.replace(f"{path}.tmp", path)
    packs.cache_clear()
    return table
