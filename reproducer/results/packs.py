"""Results that the repository ships: packed, read-only, looked up before the user's own store.

`data/results/` holds for each experiment one parquet file (a row for each result, see
`reproducer.results.integrity`), one safetensors file with the arrays, named `<key>/<array>`, and
for all of them a manifest with the digests of the tables. Whatever is read is checked. A pack that
is damaged costs one line and its own results, no others.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import safetensors
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.files import write_to_disk
from reproducer.interrupts import uninterrupted
from reproducer.paths import shipped_dir
from reproducer.results.budgets import budget_of, course
from reproducer.results.integrity import DamagedError, Row, checked, row_of
from reproducer.results.specs import Result

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
TABLE_NAME = re.compile(r"[\w-]+\.parquet")


class Packs:
    """A read-only store of packs. A folder without packs is an empty store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Several packs may hold the same result: each is a place to read it from.
        self._places: dict[str, list[tuple[Row, Path]]] = {}
        self._files: dict[Path, _Arrays] = {}
        for table, rows in _tables(folder):
            for row in rows:
                self._places.setdefault(row.key, []).append((row, table))

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def keys(self) -> list[str]:
        """The keys of all shipped results, in their order."""
        return sorted(self._places)

    def get(self, key: str, arrays: bool = True) -> Result | None:
        """The shipped result of `key`, or None; without `arrays` only its facts are read.

        What is damaged is told once; from there on it counts as missing.
        """
        while places := self._places.get(key):
            row, table = places[0]
            try:
                return checked(row, self._arrays_of(table).read(key) if arrays else None)
            except _DamagedFileError as damage:
                log.warning("the pack %s is damaged: %s", table, damage)
                self._forget(lambda place, broken=table: place[1] == broken)
            except DamagedError as damage:
                log.warning("shipped result %s of %s is damaged: %s", key[:12], table.stem, damage)
                self._forget(lambda place, broken=(row, table): place == broken)
        return None

    def digest(self, key: str) -> str | None:
        """The digest of the row of `key`, as it was written."""
        return self._places[key][0][0].sha256 if key in self._places else None

    def smaller_budget(self, name: str, budget: int) -> str | None:
        """The key of the fit of course `name` with the largest budget below `budget`."""
        for tried, key in sorted(self._courses.get(name, ()), reverse=True):
            if tried < budget and self.get(key, arrays=False) is not None:
                return key
        return None

    @cached_property
    def _courses(self) -> dict[str, list[tuple[int, str]]]:
        """By course: budget and key of each fit, as its row says.

        Rows are not checked here, which would take most of a short run's own time: this is an
        index, and what is taken by it is read with `get`.
        """
        courses: dict[str, list[tuple[int, str]]] = {}
        for places in self._places.values():
            for row, _ in places:
                if entry := _budget_in_course(row):
                    name, budget = entry
                    courses.setdefault(name, []).append((budget, row.key))
        return courses

    def _forget(self, broken: Callable[[tuple[Row, Path]], bool]) -> None:
        places = {
            key: [place for place in places if not broken(place)]
            for key, places in self._places.items()
        }
        self._places = {key: places for key, places in places.items() if places}

    def _arrays_of(self, table: Path) -> _Arrays:
        if table not in self._files:
            self._files[table] = _Arrays(table.with_suffix(".safetensors"))
        return self._files[table]


def _budget_in_course(row: Row) -> tuple[str, int] | None:
    """Course and budget of a fit that can go on; None for any other row, and a damaged one."""
    try:
        metrics = json.loads(row.metrics)
        if not metrics.get("goes_on"):
            return None
        fit = Result(row.key, json.loads(row.spec), metrics)
        name, budget = course(fit), budget_of(fit)
    # Nothing is known of a row that was not checked: it may hold any JSON, or none.
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    return (name, budget) if name and isinstance(budget, int) else None


class _DamagedFileError(Exception):
    """A file of arrays that cannot be read at all."""


class _Arrays:
    """The open file of a pack's arrays, and the names of the arrays of each of its results."""

    def __init__(self, path: Path) -> None:
        self.names: dict[str, list[str]] = {}
        try:
            # The library calls whatever hinders it a missing file: Python says what it is.
            path.open("rb").close()
            self.file = safetensors.safe_open(path, framework="np")
        except FileNotFoundError as error:
            raise _DamagedFileError(f"{path.name} is not there") from error
        except OSError as error:
            raise ReproducerError(f"cannot read {path}: {error.strerror or error}") from error
        except safetensors.SafetensorError as error:
            raise _DamagedFileError(f"{path.name} cannot be read ({error})") from error
        for full in self.file.keys():
            key, _, name = full.partition("/")
            self.names.setdefault(key, []).append(name)

    def read(self, key: str) -> dict[str, np.ndarray]:
        """The arrays of one result by name; raises `DamagedError`."""
        try:
            names = self.names.get(key, ())
            return {name: self.file.get_tensor(f"{key}/{name}") for name in names}
        # The library raises whatever its parts do: its own error, ValueError, TypeError …
        except Exception as error:
            raise DamagedError(f"its arrays cannot be read ({error})") from error


def _tables(folder: Path) -> Iterator[tuple[Path, list[Row]]]:
    """Every pack's table and its rows; a damaged table is reported and left out."""
    digests = _manifest(folder / MANIFEST)
    next_digests = _manifest(folder / f"{MANIFEST}.tmp")
    for name in sorted(digests.keys() | {path.name for path in folder.glob("*.parquet")}):
        table = folder / name
        try:
            content = table.read_bytes()
        except FileNotFoundError:
            log.warning("the pack %s, which the manifest names, is not there", table)
            continue
        except OSError as error:
            raise ReproducerError(f"cannot read {table}: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() not in (digests.get(name), next_digests.get(name)):
            log.warning("the pack %s is damaged: it is not the one of the manifest", table)
            continue
        try:
            columns = pyarrow.parquet.read_table(pyarrow.BufferReader(content)).to_pydict()
            rows = [Row(*row) for row in zip(*map(columns.get, Row._fields), strict=True)]
        except (pyarrow.ArrowException, OSError, TypeError, ValueError) as error:
            log.warning("the pack %s is damaged: %s", table, error)
            continue
        yield table, [row for row in rows if isinstance(row.key, str)]


def _manifest(path: Path) -> dict[str, str]:
    """The SHA-256 of each table by its file name."""
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReproducerError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError):
        digests = None
    if not isinstance(digests, dict) or not all(map(TABLE_NAME.fullmatch, digests)):
        log.warning("the manifest %s is damaged: none of its packs can be trusted", path)
        return {}
    return digests


@cache
def packs(folder: Path | None = None) -> Packs:
    """The repository's own packs, read once."""
    return Packs(folder or shipped_dir())


def pack(results: list[Result], name: str, folder: Path | None = None) -> Path:
    """Write results as the pack `name`, replacing it; returns the parquet file's path.

    Raises:
        ReproducerError: no results, or a folder that cannot be written.
    """
    if not results:
        raise ReproducerError(f"expected results to pack as {name!r}, got none")
    folder = folder or shipped_dir()
    try:
        return _write(sorted(results, key=lambda result: result.key), folder / f"{name}.parquet")
    except (OSError, safetensors.SafetensorError) as error:
        raise ReproducerError(f"cannot write the pack {name!r} to {folder}: {error}") from error
    finally:
        packs.cache_clear()


def _write(results: list[Result], table: Path) -> Path:
    table.parent.mkdir(parents=True, exist_ok=True)
    rows = [row_of(result)._asdict() for result in results]
    arrays = {f"{r.key}/{name}": array for r in results for name, array in r.arrays.items()}
    tensors, manifest = table.with_suffix(".safetensors"), table.with_name(MANIFEST)
    # Without statistics: nothing is searched by ranges of values.
    lean = {"compression": "zstd", "write_statistics": False, "store_schema": False}
    packed = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), packed, **lean)
    digests = _manifest(manifest) | {table.name: hashlib.sha256(packed.getvalue()).hexdigest()}
    contents = {
        tensors: safetensors.numpy.save(arrays),
        table: packed.getvalue(),
        manifest: (json.dumps(digests, indent=1, sort_keys=True) + "\n").encode(),
    }
    try:
        for path, content in contents.items():
            write_to_disk(Path(f"{path}.tmp"), content)
    except BaseException:
        for path in contents:
            Path(f"{path}.tmp").unlink(missing_ok=True)
        raise
    # Arrays first: a table must never name arrays that are not there. A process that dies between
    # these lines leaves the next manifest under its scratch name, where `_tables` looks as well.
    with uninterrupted():
        for path in contents:
            os.replace(f"{path}.tmp", path)
    return table
