"""Warm starts of `m`: a vector that already tells positions apart, for recipes that name one.

A shared `m` works for many texts (Mezentsev & Oseledets, Table 2), so most of what `m` has to
learn does not depend on the text. A warm start is the `m` that a group of texts shared after a
joint fit; a fit that starts from it has little but `e` left to find. The texts of that fit are
the last of their source, and take no part in the comparison of recipes.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.files import replace_bytes
from reproducer.paths import data_dir

if TYPE_CHECKING:
    from torch import Tensor

# The set of vectors that the recipe `fast` names: `m` shared by 12 texts of 16 tokens.
SHARED_12 = "shared-12"


def warm_start_digest(name: str, model: str) -> str:
    """SHA-256 of the warm start's vector; empty for no name.

    Raises:
        ReproducerError: the model has no such warm start, or its file is damaged.
    """
    return vector_digest(_vector(name, model)) if name else ""


def vector_digest(vector: np.ndarray) -> str:
    """SHA-256 of a float32 vector's bytes, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(vector, "<f4").tobytes()).hexdigest()


def warm_m(name: str, model: str, digest: str, d_model: int) -> Tensor:
    """The warm start (d_model,) called `name` of `model`.

    Raises:
        ReproducerError: there is none, it is damaged, of another width, or not the one that
            `digest` names.
    """
    import torch

    vector = _vector(name, model)
    if vector.shape != (d_model,):
        raise ReproducerError(
            f"{warm_start_path(name, model)}: expected a vector of width {d_model}, "
            f"got shape {vector.shape}"
        )
    if vector_digest(vector) != digest:
        raise ReproducerError(
            f"{warm_start_path(name, model)} is another vector than the one asked for: expected "
            f"digest {digest[:12]}, got {vector_digest(vector)[:12]}"
        )
    return torch.from_numpy(vector.copy())


def has_warm_start(name: str, model: str) -> bool:
    """Whether `model` has a warm start called `name`."""
    return warm_start_path(name, model).exists()


def write_warm_start(name: str, model: str, vector: np.ndarray, facts: dict[str, Any]) -> Path:
    """Write a vector (d_model,) and where it comes from to the shipped data."""
    path = warm_start_path(name, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {key: str(value) for key, value in facts.items()}
    arrays = {"m": np.ascontiguousarray(vector)}
    replace_bytes(path, safetensors.numpy.save(arrays, metadata=metadata))
    _vector.cache_clear()
    return path


def warm_start_path(name: str, model: str) -> Path:
    """Where the warm start called `name` of `model` lies, or would lie."""
    # A hub name or a folder has slashes.
    return data_dir() / "warm_starts" / name / f"{model.replace('/', '--')}.safetensors"


@cache
def _vector(name: str, model: str) -> np.ndarray:
    path = warm_start_path(name, model)
    if not path.exists():
        raise ReproducerError(
            f"recipe with a warm start: model {model!r} has none called {name!r}; make one with "
            f"`reproduce warm-start {model}` or choose the recipe 'paper'"
        )
    try:
        vector = safetensors.numpy.load_file(path)["m"]
    # The library raises whatever its parts do: its own error, KeyError, TypeError, OSError …
    except Exception as error:
        raise ReproducerError(f"the warm start {path} is damaged: {error!r}") from error
    if vector.ndim != 1 or vector.dtype != np.float32 or not np.isfinite(vector).all():
        raise ReproducerError(
            f"the warm start {path} is damaged: expected a vector of finite float32 numbers, got "
            f"{vector.dtype} of shape {vector.shape}"
        )
    return vector
