"""Claims of work in progress, so that two runs on one store share the work instead of doubling it.

A lease is a row of the store's file: which key, who computes it, until when. Its owner renews it
while it lives. It ends when the owner has stored the result, when it expires, or when the owner's
process is gone from this machine; then whoever wants the result takes it over. The worst that a
lost lease can do is to have something computed twice.
"""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Self

from reproducer.errors import ReproducerError
from reproducer.results.store import WAIT_SECONDS, Store

log = logging.getLogger(__name__)
SECONDS = 60.0  # a lease's life when nobody renews it
POLL_SECONDS = 0.5
SCHEMA = """CREATE TABLE IF NOT EXISTS leases (
    key TEXT PRIMARY KEY, host TEXT, pid INTEGER, expires REAL)"""
OURS = "host = ? AND pid = ?"


class Leases:
    """The leases that one run holds on keys of a store; leaving the context gives all back.

    Raises `ReproducerError` where the store cannot be written.
    """

    def __init__(self, store: Store, seconds: float = SECONDS) -> None:
        self.store, self.seconds = store, seconds
        self.owner = socket.gethostname(), os.getpid()
        self._stop = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self.store.require_writable()
        with self._writing() as connection:
            connection.execute(SCHEMA)
        self._renewing.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._renewing.join()
        try:
            with self._writing() as connection:
                connection.execute(f"DELETE FROM leases WHERE {OURS}", self.owner)
        except ReproducerError as unusable:  # what ended the run says more, and leases expire
            log.debug("leases not given back: %s", unusable)

    def take(self, key: str) -> bool:
        """Take the lease of `key`; False if another run holds it or has stored the result."""
        with self._writing() as connection:
            held = connection.execute(
                "SELECT host, pid, expires FROM leases WHERE key = ?", (key,)
            ).fetchone()
            if held and self._lives(*held):
                return False
            # In the same transaction: a result is stored before its lease is given back.
            if connection.execute("SELECT 1 FROM results WHERE key = ?", (key,)).fetchone():
                return False
            row = (key, *self.owner, time.time() + self.seconds)
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", row)
        return True

    def give_back(self, key: str) -> None:
        """End the lease of `key`, after its result was stored."""
        with self._writing() as connection:
            ours = (*self.owner, key)
            connection.execute(f"DELETE FROM leases WHERE {OURS} AND key = ?", ours)

    def wait(self, keys: Iterable[str]) -> None:
        """Return once one of `keys` can be taken or is stored."""
        wanted = set(keys)
        while True:
            with self._writing() as connection:
                rows = connection.execute("SELECT * FROM leases").fetchall()
            if wanted - {key for key, *holder in rows if self._lives(*holder)}:
                return
            time.sleep(POLL_SECONDS)

    def _lives(self, host: str, pid: int, expires: float) -> bool:
        """Whether another process has the lease; a process never waits for itself."""
        if (host, pid) == self.owner or expires < time.time():
            return False
        return host != self.owner[0] or _runs(pid)

    def _renew(self) -> None:
        while not self._stop.wait(self.seconds / 3):
            try:
                with self._writing() as connection:
                    row = (time.time() + self.seconds, *self.owner)
                    connection.execute(f"UPDATE leases SET expires = ? WHERE {OURS}", row)
            except (ReproducerError, sqlite3.Error) as error:  # the run meets it, too, and says so
                log.debug("leases not renewed: %s", error)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own connection, since the renewing thread needs one, too."""
        connect = partial(sqlite3.connect, timeout=WAIT_SECONDS, isolation_level=None)
        with self.store.errors(), closing(connect(self.store.path)) as connection:
            # A lease need not survive a power cut: its commit does not wait for the disk.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        return True
    except ProcessLookupError:
        return False
    return True
