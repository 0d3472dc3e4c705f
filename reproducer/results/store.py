"""The result store: one SQLite file, a row for each computed spec, found by the spec's key.

A result that `put` has returned from is on the disk: SQLite's write-ahead log survives a kill or a
power cut, and processes of one machine write to one store. Across a network file system they
must not: there every process has a store of its own, and `reproduce merge` unites them. Every
read is checked (`reproducer.results.integrity`); a damaged row is set aside in a table of its own,
told in one line, and computed again. Nothing is pickled.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.paths import store_dir
from reproducer.results.budgets import budget_of, course
from reproducer.results.integrity import DamagedError, Row, checked_arrays, checked_facts, row_of
from reproducer.results.specs import Result

log = logging.getLogger(__name__)
FILE = "results.sqlite"
MIN_FREE_BYTES = 64 << 20
WAIT_SECONDS = 60
SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, spec TEXT, metrics TEXT, provenance TEXT, arrays_sha256 TEXT,
    sha256 TEXT, kind TEXT, course TEXT, budget INTEGER, arrays BLOB
);
CREATE INDEX IF NOT EXISTS courses ON results (course, budget);
CREATE TABLE IF NOT EXISTS damaged (noted TEXT DEFAULT CURRENT_TIMESTAMP, reason TEXT, key TEXT,
    spec TEXT, metrics TEXT, provenance TEXT, arrays_sha256 TEXT, sha256 TEXT, arrays BLOB);
"""
FIELDS = ", ".join(Row._fields)


class Store:
    """A folder with a file of results; a folder without one is an empty store.

    Raises `ReproducerError` where the file cannot be used, and on writing to a folder that
    cannot be written or has no room.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder or store_dir())
        self.path = self.folder / FILE
        self._connection: sqlite3.Connection | None = None

    def __contains__(self, key: str) -> bool:
        return self._one("SELECT 1 FROM results WHERE key = ?", key) is not None

    def __len__(self) -> int:
        row = self._one("SELECT count(*) FROM results")
        return row[0] if row else 0

    def keys(self) -> Iterator[str]:
        """The keys of all results, in their order."""
        with self._errors():
            rows = self._reading()
            yield from (
                (key for (key,) in rows.execute("SELECT key FROM results ORDER BY key"))
                if rows
                else ()
            )

    def get(self, key: str, arrays: bool = True) -> Result | None:
        """The result of `key`, or None; without `arrays` only its facts are read.

        A damaged result is reported and set aside.
        """
        columns = f"{FIELDS}, arrays" if arrays else FIELDS
        found = self._one(f"SELECT {columns} FROM results WHERE key = ?", key)
        if found is None:
            return None
        row = Row(*found[: len(Row._fields)])
        try:
            result = checked_facts(row)
            if result.key != key:
                raise DamagedError("it lies under another key")
            if arrays:
                result.arrays.update(checked_arrays(row, _unpacked(found[-1])))
            return result
        except DamagedError as damage:
            self._set_aside(key, str(damage))
            return None

    def digest(self, key: str) -> str | None:
        """The digest of the row of `key`, as it was written."""
        row = self._one("SELECT sha256 FROM results WHERE key = ?", key)
        return row[0] if row else None

    def smaller_budget(self, name: str, budget: int) -> str | None:
        """The key of the fit of course `name` with the largest budget below `budget`."""
        row = self._one(
            "SELECT key FROM results WHERE course = ? AND budget < ? ORDER BY budget DESC LIMIT 1",
            name,
            budget,
        )
        return row[0] if row else None

    def put(self, result: Result) -> None:
        """Write a result; when this returns it is on the disk. The last of two writers wins."""
        row = row_of(result)
        arrays = safetensors.numpy.save(dict(result.arrays)) if result.arrays else b""
        values = (*row, result.spec["kind"], course(result), budget_of(result), arrays)
        marks = ", ".join("?" * len(values))
        with self._errors(), self._writing() as connection:
            connection.execute(f"INSERT OR REPLACE INTO results VALUES ({marks})", values)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _one(self, query: str, *values: Any) -> tuple | None:
        with self._errors():
            connection = self._reading()
            return connection.execute(query, values).fetchone() if connection else None

    def _reading(self) -> sqlite3.Connection | None:
        if self._connection is None and self.path.exists():
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if os.access(self.path, os.W_OK) and os.access(self.folder, os.W_OK):
            connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            return connection
        # A log beside the file needs a folder that can be written: here the file is read alone.
        place = f"{self.path.resolve().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(place, uri=True, timeout=WAIT_SECONDS)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            self._require_room()
            self._connection = self._open() if self.path.exists() else self._create()
        with self._connection as transaction:
            yield transaction

    def _create(self) -> sqlite3.Connection:
        self.path.touch()
        connection = self._open()
        connection.executescript(SCHEMA)
        return connection

    def _require_room(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise self._unusable(error.strerror) from error
        if free < MIN_FREE_BYTES:
            raise ReproducerError(
                f"expected {MIN_FREE_BYTES >> 20} MiB free for the result store {self.folder}, "
                f"got {free >> 20} MiB"
            )

    def _set_aside(self, key: str, reason: str) -> None:
        log.warning("result %s in %s is damaged: %s; it is set aside", key[:12], self.path, reason)
        columns = f"{FIELDS}, arrays"
        try:
            with self._writing() as connection:
                connection.execute(
                    f"INSERT INTO damaged (reason, {columns}) SELECT ?, {columns} FROM results "
                    "WHERE key = ?",
                    (reason, key),
                )
                connection.execute("DELETE FROM results WHERE key = ?", (key,))
        except sqlite3.OperationalError:
            pass  # a store that can only be read: the result counts as missing all the same

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise self._unusable(str(error)) from error
        except sqlite3.DatabaseError as error:
            self.close()
            raise self._moved_aside(str(error)) from error
        except OSError as error:
            raise self._unusable(error.strerror) from error

    def _unusable(self, reason: str) -> ReproducerError:
        """What the machine refused: the results themselves are in order."""
        return ReproducerError(
            f"cannot use the result store {self.path}: {reason}; set REPRODUCER_STORE to a folder "
            "that can be written"
        )

    def _moved_aside(self, reason: str) -> ReproducerError:
        return ReproducerError(
            f"the result store {self.path} is damaged ({reason}): move it away to begin a new one; "
            "`reproduce merge` takes what can still be read of it"
        )


def _unpacked(blob: bytes | None) -> dict[str, Any]:
    try:
        return safetensors.numpy.load(blob) if blob else {}
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"its arrays cannot be read ({error})") from error


def merge(sources: list[Path], store: Store) -> dict[str, int]:
    """Copy what the stores in the folders `sources` hold into `store`.

    Returns:
        How many results were `copied`, `known` already with equal content, and `different`: known
        with other content, which is kept and reported.
    """
    counts = {"copied": 0, "known": 0, "different": 0}
    for folder in sources:
        if not (Path(folder) / FILE).exists():
            raise ReproducerError(f"expected a result store in {folder}: it holds no {FILE}")
        source = Store(Path(folder))
        for key in list(source.keys()):
            result = source.get(key)
            if result is None:
                continue
            ours = store.get(key)
            if ours is None:
                store.put(result)
                counts["copied"] += 1
            elif _content(ours) == _content(result):
                counts["known"] += 1
            else:
                log.warning("result %s differs between %s and %s", key[:12], store.folder, folder)
                counts["different"] += 1
    return counts


def _content(result: Result) -> tuple[str, str]:
    """What two machines should agree on: not how long it took, nor where."""
    row = row_of(result)
    timeless = {k: v for k, v in result.metrics.items() if k != "seconds"}
    return row.arrays_sha256, json.dumps(timeless, sort_keys=True)
