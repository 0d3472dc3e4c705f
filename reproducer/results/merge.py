"""Uniting the stores of several machines, each of which wrote its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from reproducer.errors import ReproducerError
from reproducer.results.integrity import row_of
from reproducer.results.specs import Result
from reproducer.results.store import FILE, DamagedStoreError, Store

log = logging.getLogger(__name__)


def merge(sources: Sequence[Path], store: Store) -> dict[str, int]:
    """Copy what the stores in the folders `sources` hold into `store`.

    What is damaged in a source costs one line; the rest of it is copied.

    Returns:
        How many results were `copied`, `known` already with equal content, and `different`: known
        with other content, which is kept and reported.
    """
    for folder in sources:
        try:
            there = (Path(folder) / FILE).exists()
        except OSError:  # a name that is longer than names can be, for one
            there = False
        if not there:
            raise ReproducerError(f"expected a result store in {folder!s:.200}: it holds no {FILE}")
    counts = {"copied": 0, "known": 0, "different": 0}
    for folder in sources:
        source = Store(Path(folder))
        for key in _keys(source):
            if (result := _new(source, key, store.digest(key))) is None:
                counts["known"] += key in store
                continue
            ours = store.get(key)
            if ours is None:
                store.put(result)
                counts["copied"] += 1
            elif _content(ours) == _content(result):
                counts["known"] += 1
            else:
                log.warning("result %s of %s differs from ours", result.key[:12], folder)
                counts["different"] += 1
        source.close()
    return counts


def _keys(source: Store) -> list[str]:
    keys: list[str] = []
    try:
        for key in source.keys():
            keys.append(key)
    except DamagedStoreError as error:
        log.warning("after %d results: %s", len(keys), error)
    return keys


def _new(source: Store, key: str, digest: str | None) -> Result | None:
    """A result that is not the one of that digest, to the last bit; None if it is, or damaged."""
    try:
        return None if digest and source.digest(key) == digest else source.get(key)
    except DamagedStoreError:
        log.warning("result %s in %s cannot be read", key[:12], source.path)
        return None


def _content(result: Result) -> tuple[str, str]:
    """What two machines should agree on: not how long it took, nor where."""
    row = row_of(result)
    timeless = {k: v for k, v in result.metrics.items() if k != "seconds"}
    return row.arrays_sha256, json.dumps(timeless, sort_keys=True)
