"""Warm starts of `m`: a vector that already tells positions apart, for recipes that name one.

A shared `m` works for many texts (Mezentsev & Oseledets, Table 2), so most of what `m` has to
learn does not depend on the text. A warm start is the `m` that a group of texts shared after a
joint fit; a fit that starts from it has little but `e` left to find. The texts of that fit are
the last of their source, and take no part in the comparison of recipes.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.paths import data_dir
from reproducer.solver.recipes import Recipe

if TYPE_CHECKING:
    from reproducer.results.specs import FitSpec

# The set of vectors that the recipe `fast` names: `m` shared by 12 texts of 16 tokens.
SHARED_12 = "shared-12"
N_ALL, N_TEXTS, N_TOKENS = 52, 12, 16
RECIPE = Recipe(name="warm-start", lr=0.03, max_steps=400)


@cache
def warm_m(name: str, model: str) -> Tensor:
    """The warm start (d_model,) called `name` of `model`, as shipped in `data/warm_starts/`."""
    path = _path(name, model)
    if not path.exists():
        raise ReproducerError(
            f"recipe with a warm start: model {model!r} has none called {name!r}; make one with "
            f"`reproduce warm-start {model}` or choose the recipe 'paper'"
        )
    return safetensors.torch.load_file(path)["m"]


def has_warm_start(name: str, model: str) -> bool:
    """Whether `warm_m` would find one."""
    return _path(name, model).exists()


def warm_start_spec(model: str) -> FitSpec:
    """The joint fit whose shared `m` becomes the warm start of `model`."""
    # Imported late: a spec's start looks warm starts up in this module.
    from reproducer.results.run import cached_lm
    from reproducer.results.specs import FitSpec
    from reproducer.texts.sources import load_texts

    lm = cached_lm(model)
    texts = load_texts("unseen", lm, N_ALL, N_TOKENS)[-N_TEXTS:]
    return FitSpec(
        model=model,
        arrangement=lm.default_arrangement,
        texts=tuple(text.prefix(N_TOKENS) for text in texts),
        share="m",
        recipe=RECIPE,
    )


def make_warm_start(model: str) -> Path:
    """Fit (or find stored) the joint fit of `model` and write its `m` to the shipped data."""
    from reproducer.results.run import compute

    (result,) = compute([warm_start_spec(model)])
    path = _path(SHARED_12, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"key": result.key, **{name: str(v) for name, v in result.provenance.items()}}
    scratch = path.with_suffix(".tmp")
    safetensors.torch.save_file({"m": result.arrays["rows"][-1].clone()}, scratch, metadata=facts)
    os.replace(scratch, path)
    warm_m.cache_clear()
    return path


def _path(name: str, model: str) -> Path:
    # A hub name or a folder has slashes.
    return data_dir() / "warm_starts" / name / f"{model.replace('/', '--')}.safetensors"
