"""Where things are: the repository, its data, the result store, the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

import pooch

ROOT = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """What the repository ships: texts, published numbers, warm starts, results."""
    return ROOT / "data"


def shipped_dir() -> Path:
    """The folder of shipped results: ``$REPRODUCER_SHIPPED``, else ``data/results/``."""
    return Path(os.environ.get("REPRODUCER_SHIPPED") or data_dir() / "results").expanduser()


def store_dir() -> Path:
    """The folder of the writable result store: ``$REPRODUCER_STORE``, else ``results/``."""
    return Path(os.environ.get("REPRODUCER_STORE") or ROOT / "results").expanduser()


def cache_dir() -> Path:
    """Converted models and sampled texts: ``$REPRODUCER_CACHE``, else the platform's cache."""
    return Path(os.environ.get("REPRODUCER_CACHE") or pooch.os_cache("reproducer")).expanduser()
