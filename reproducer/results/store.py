"""The result store: one SQLite file, a row for each computed spec, found by the spec's key.

A result that `put` has returned from is on the disk: SQLite's write-ahead log survives a kill or a
power cut, and processes of one machine write to one store. Across a network file system they
must not: there every process has a store of its own, and `reproduce merge` unites them. Every
read is checked (`reproducer.results.integrity`); a damaged row is set aside in a table of its own,
told in one line, and computed again. Nothing is pickled.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.paths import store_dir
from reproducer.results.budgets import budget_of, course
from reproducer.results.integrity import DamagedError, Row, checked, row_of
from reproducer.results.specs import Result

log = logging.getLogger(__name__)
FILE = "results.sqlite"
MIN_FREE_BYTES = 64 << 20
WAIT_SECONDS = 60
POLL_SECONDS = 0.01
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
# The second where a message of the first quotes damaged text.
FAULTS = (sqlite3.Error, UnicodeDecodeError)
# What SQLite reports of the machine rather than of the file.
ENVIRONMENT = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


class DamagedStoreError(ReproducerError):
    """A store whose file SQLite cannot make sense of."""


class Store:
    """A folder with a file of results; a folder without one is an empty store.

    Raises `ReproducerError` where the file cannot be used, and on writing to a folder that
    cannot be written or has no room. `read_only`: nothing is changed, not even beside the file.
    """

    def __init__(self, folder: Path | None = None, read_only: bool = False) -> None:
        self.folder, self.read_only = Path(folder or store_dir()), read_only
        self.path = self.folder / FILE
        self._connection: sqlite3.Connection | None = None
        self._damaged: set[str] = set()  # what could not be set aside in the file

    def __contains__(self, key: str) -> bool:
        row = self._one("SELECT 1 FROM results WHERE key = ?", key)
        return row is not None and key not in self._damaged

    def __len__(self) -> int:
        row = self._one("SELECT count(*) FROM results")
        return row[0] if row else 0

    def keys(self) -> Iterator[str]:
        """The keys of all results, in their order."""
        with self.errors():
            connection = self._reading()
            if connection:
                keys = connection.execute("SELECT key FROM results ORDER BY key")
                yield from (key for (key,) in keys if isinstance(key, str) and key.isascii())

    def get(self, key: str, arrays: bool = True) -> Result | None:
        """The result of `key`, or None; without `arrays` only its facts are read.

        A damaged result is reported and set aside.
        """
        columns = f"{FIELDS}, arrays" if arrays else FIELDS
        fields = self._one(f"SELECT {columns} FROM results WHERE key = ?", key)
        if fields is None or key in self._damaged:
            return None
        row = Row(*fields[: len(Row._fields)])
        try:
            if row.key != key:
                raise DamagedError("it lies under another key")
            return checked(row, _unpacked(fields[-1]) if arrays else None)
        except DamagedError as damage:
            self._set_aside(key, row, str(damage))
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

    def put(self, *results: Result) -> None:
        """Write results; when this returns they are on the disk. The last of two writers wins."""
        rows = [_values(result) for result in results]
        with self.errors(), self._writing() as connection:
            marks = ", ".join("?" * (len(Row._fields) + 4))
            connection.executemany(f"INSERT OR REPLACE INTO results VALUES ({marks})", rows)
        self._damaged.difference_update(result.key for result in results)

    def require_writable(self) -> None:
        """Make the store if it is not there; raises, as `put` would, if it cannot be written."""
        with self.errors(), self._writing() as connection:
            connection.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _one(self, query: str, *values: Any) -> tuple | None:
        # SQLite takes no half of a surrogate pair, which no key has either.
        values = [v.encode(errors="replace").decode() if isinstance(v, str) else v for v in values]
        with self.errors():
            connection = self._reading()
            return connection.execute(query, values).fetchone() if connection else None

    def _reading(self) -> sqlite3.Connection | None:
        if self._connection is None and self.path.exists():
            connection = self._patiently_open()
            if not connection.execute("PRAGMA schema_version").fetchone()[0]:
                connection.close()  # another process is only just making it
                return None
            self._connection = connection
        return self._connection

    def _patiently_open(self) -> sqlite3.Connection:
        """Open the file; SQLite does not itself wait for a process that opens or closes it."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self._open()
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > end:
                    raise
            time.sleep(POLL_SECONDS)

    def _open(self) -> sqlite3.Connection:
        writable = all(os.access(place, os.W_OK) for place in (self.path, self.folder))
        if writable and not self.read_only:
            connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS)
            prepare = f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {SCHEMA}"
        else:
            # A log beside the file needs a folder that can be written, unless it is there already.
            immutable = "" if Path(f"{self.path}-wal").exists() else "&immutable=1"
            place = f"{self.path.resolve().as_uri()}?mode=ro{immutable}"
            connection, prepare = sqlite3.connect(place, uri=True, timeout=WAIT_SECONDS), ""
        try:
            # Damaged text must arrive as it is, so that the digest tells.
            connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            connection.executescript(prepare)
            connection.execute("PRAGMA schema_version")  # reads the file, whoever has it open
        except FAULTS:
            connection.close()
            raise
        return connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._require_room()
        if self._connection is None:
            # Made by Python, so that the umask decides who may read it.
            self.path.touch()
            self._connection = self._patiently_open()
        with self._connection as transaction:
            yield transaction

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

    def _set_aside(self, key: str, row: Row, reason: str) -> None:
        log.warning("result %s in %s is damaged: %s; it is set aside", key[:12], self.path, reason)
        columns = f"{FIELDS}, arrays"
        # Another process may have replaced the row since it was read. Its digest may be no text.
        same = "FROM results WHERE key = ? AND CAST(sha256 AS BLOB) IS CAST(? AS BLOB)"
        sha256 = row.sha256
        if isinstance(sha256, str):
            sha256 = sha256.encode(errors="surrogateescape")
        try:
            with self._connection as connection:
                connection.execute(
                    f"INSERT INTO damaged (reason, {columns}) SELECT ?, {columns} {same}",
                    (reason.encode(errors="replace").decode(), key, sha256),
                )
                connection.execute(f"DELETE {same}", (key, sha256))
        except FAULTS as error:
            # A store that can only be read, for one: the result counts as missing all the same.
            log.debug("not set aside: %s", error)
            self._damaged.add(key)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLite and the machine report into errors that name the store."""
        try:
            yield
        except FAULTS as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            if code & 0xFF in ENVIRONMENT:
                raise self._unusable(str(error)) from error
            self.close()
            raise DamagedStoreError(
                f"the result store {self.path} is damaged ({error}): move it away to begin a new "
                "one; `reproduce merge` takes what can still be read of it"
            ) from error
        except OSError as error:
            raise self._unusable(error.strerror) from error

    def _unusable(self, reason: str) -> ReproducerError:
        """What the machine refused: the results themselves are in order."""
        return ReproducerError(
            f"cannot use the result store {self.path}: {reason}; set REPRODUCER_STORE to a folder "
            "that can be used"
        )


def _values(result: Result) -> tuple:
    """A result as it lies in the table."""
    arrays = safetensors.numpy.save(dict(result.arrays)) if result.arrays else b""
    return *row_of(result), result.spec["kind"], course(result), budget_of(result), arrays


def _unpacked(blob: bytes | None) -> dict[str, np.ndarray]:
    try:
        return safetensors.numpy.load(blob) if blob else {}
    # The library raises whatever its parts do: its own error, ValueError, KeyError, TypeError …
    except Exception as error:
        raise DamagedError(f"its arrays cannot be read ({error})") from error
