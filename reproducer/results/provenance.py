"""Where a result comes from: machine, versions, commit."""

from __future__ import annotations

import datetime
import platform
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproducer.paths import ROOT

if TYPE_CHECKING:
    import torch

    from reproducer.models.language_model import LanguageModel

PACKAGES = ("reproducer", "torch", "transformers", "numpy")


def provenance(lm: LanguageModel) -> dict[str, Any]:
    """JSON-ready facts about a result computed now with `lm`."""
    return {
        "model": lm.name,
        "weights_sha256": lm.digest,
        "dtype": str(lm.dtype).removeprefix("torch."),
        "device": device_name(lm.device),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **software(),
    }


@lru_cache
def software() -> dict[str, str]:
    """Versions of what computes, and the commit of this repository."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions | {"commit": commit()}


def joined_devices(names: Iterable[str]) -> str:
    """Names of devices, each once; a name may hold a comma."""
    return "; ".join(sorted(set(names)))


def commit() -> str:
    """The checked-out commit, marked `+dirty` if tracked files differ; `unknown` outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+dirty" if _git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@lru_cache
def device_name(device: torch.device) -> str:
    """What the device calls itself, e.g. `NVIDIA H200` or `AMD EPYC, 2 threads`."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name}, {torch.get_num_threads()} threads"
