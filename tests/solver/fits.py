"""Fits of the tiny model, small enough to be solved again the obvious way."""

from reproducer.results.fits import FitSpec
from reproducer.solver.recipes import Recipe
from reproducer.solver.solve import solve
from reproducer.texts.sources import load_texts

RECIPE = Recipe(name="test", lr=0.05, max_steps=40)


def fit_specs(lm, n_texts=6, n_tokens=4, **fields):
    texts = load_texts("unseen", lm.name, n_texts, n_tokens)
    fields = {"recipe": RECIPE, "arrangement": "[e] [m]xN", "model": "tiny"} | fields
    return [FitSpec(texts=(text.prefix(n_tokens),), **fields) for text in texts]


def solve_all(lm, problems, recipe=RECIPE, **options):
    return [s for _, s in sorted(solve(lm, problems, recipe, **options), key=lambda p: p[0])]
