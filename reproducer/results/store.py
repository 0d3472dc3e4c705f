"""The result store: one safetensors file for each computed spec, found by the spec's key.

Arrays are tensors; spec, metrics and provenance are JSON in the file's header. Files are
written under a temporary name and renamed, so a file is whole or absent, and two processes
that compute the same spec both finish and leave one result. Nothing is pickled.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.paths import store_dir

log = logging.getLogger(__name__)
MIN_FREE_BYTES = 64 << 20
# What reading a damaged file raises.
UNREADABLE = (OSError, ValueError, KeyError, safetensors.SafetensorError)


@dataclass(frozen=True)
class Result:
    """What one spec gave: the spec as JSON data, metrics, arrays and where they come from."""

    key: str
    spec: dict[str, Any]
    metrics: dict[str, Any]
    arrays: dict[str, Tensor] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


class Store:
    """A folder of results.

    Raises `ReproducerError` on opening a folder that cannot be written or has no room.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder or store_dir())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".probe-{uuid.uuid4().hex}"
            probe.touch()
            probe.unlink()
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise ReproducerError(
                f"cannot write to the result store {self.folder}: {error.strerror}; "
                "set REPRODUCER_STORE to a writable folder"
            ) from error
        if free < MIN_FREE_BYTES:
            raise ReproducerError(
                f"expected {MIN_FREE_BYTES >> 20} MiB free for the result store {self.folder}, "
                f"got {free >> 20} MiB"
            )

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def __contains__(self, key: str) -> bool:
        return self.path(key).exists()

    def keys(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.safetensors")))

    def get(self, key: str) -> Result | None:
        """The result of `key`, or None. A damaged file is reported and set aside."""
        path = self.path(key)
        if not path.exists():
            return None
        try:
            return _read(path, key)
        except UNREADABLE as error:
            aside = path.with_suffix(f".damaged-{uuid.uuid4().hex[:8]}")
            os.replace(path, aside)
            log.warning("%s is damaged (%s): set aside as %s", path.name, error, aside.name)
            return None

    def put(self, result: Result) -> None:
        """Write a result atomically; the last of several writers of one key wins."""
        header = {
            "spec": json.dumps(result.spec),
            "metrics": json.dumps(result.metrics),
            "provenance": json.dumps(result.provenance),
        }
        scratch = self.folder / f".{result.key}.{uuid.uuid4().hex}.tmp"
        arrays = {name: array.detach().contiguous() for name, array in result.arrays.items()}
        try:
            safetensors.torch.save_file(arrays, scratch, metadata=header)
            os.replace(scratch, self.path(result.key))
        except (OSError, safetensors.SafetensorError) as error:
            raise ReproducerError(f"cannot write to {self.folder}: {error}") from error
        finally:
            scratch.unlink(missing_ok=True)


def read_facts(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Spec and metrics of a result's file, without its arrays; None if it cannot be read."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = _header(file, "spec", "metrics")
    except UNREADABLE:
        return None
    return facts["spec"], facts["metrics"]


def _read(path: Path, key: str) -> Result:
    with safetensors.safe_open(path, framework="pt") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        return Result(key=key, arrays=arrays, **_header(file, "spec", "metrics", "provenance"))


def _header(file: safetensors.safe_open, *names: str) -> dict[str, Any]:
    header = file.metadata() or {}
    return {name: json.loads(header[name]) for name in names}
