"""Making the warm start of `m` that the recipe `fast` needs on a model."""

from __future__ import annotations

from pathlib import Path

from reproducer.models.card import model_card
from reproducer.results.fits import FitSpec
from reproducer.results.warm_starts import SHARED_12, write_warm_start
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import load_texts

# The last 12 of the 52 texts: the comparison of recipes takes the first.
N_ALL, N_TEXTS, N_TOKENS = 52, 12, 16
RECIPE = Recipe(name="warm-start", lr=0.03, max_steps=400)


def warm_start_spec(model: str) -> FitSpec:
    """The joint fit whose shared `m` becomes the warm start of `model`."""
    texts = load_texts("unseen", model, N_ALL, N_TOKENS)[-N_TEXTS:]
    return FitSpec(
        model=model,
        arrangement=model_card(model).arrangement,
        texts=tuple(text.prefix(N_TOKENS) for text in texts),
        share="m",
        recipe=RECIPE,
    )


def make_warm_start(model: str) -> Path:
    """Compute the joint fit of `model`, unless it is known, and write its `m`."""
    from reproducer.results.run import compute

    (result,) = compute([warm_start_spec(model)])
    facts = {"key": result.key, **result.provenance}
    return write_warm_start(SHARED_12, model, result.arrays["rows"][-1], facts)
