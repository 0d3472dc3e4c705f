"""How far results move when memory runs short and the solver halves its batch.

`python -m benchmarks.halving [--steps 200]` fits the texts of `arrangements` under the profile
`smoke` twice: undisturbed, and on a machine that refuses more than one sequence at a time. Whatever
differs is rounding: a product over another number of rows adds in another order. Another `--model`
is fitted in its own arrangement alone, by `--recipe` and at `--length`; `--most` is how many
sequences at a time the second run has memory for.
"""

from __future__ import annotations

import argparse
from unittest import mock

import numpy as np

from reproducer.experiments.base import grid
from reproducer.experiments.profiles import load_params
from reproducer.models.card import model_card
from reproducer.models.language_model import LanguageModel, load_lm
from reproducer.results.fits import FitSpec
from reproducer.solver import slots
from reproducer.solver.problem import Problem
from reproducer.solver.recipes import Recipe
from reproducer.solver.solve import Solution, solve


def solutions(
    lm: LanguageModel, problems: list[Problem], recipe: Recipe, chunk: int | None = None
) -> list[Solution]:
    """All solutions in order; with memory for so many sequences at a time."""
    real = slots.run_model

    def small(decoder, dtype, table, state, asked, train):
        if chunk and asked > chunk:
            raise MemoryError
        return real(decoder, dtype, table, state, asked, train)

    with mock.patch.object(slots, "run_model", small):
        found = dict(solve(lm, problems, recipe))
    return [found[number] for number in range(len(problems))]


def asked(given: argparse.Namespace) -> list[FitSpec]:
    """The fits: those of the profile, or of one length in the arrangement of another model."""
    params = load_params("arrangements", "smoke", max_steps=given.steps, n_texts=given.texts)
    if given.model == params.model:
        return grid(params, params.arrangements)
    update = {"model": given.model, "lengths": (given.length,), "recipe": given.recipe}
    return grid(params.model_copy(update=update), [model_card(given.model).arrangement])


def compared(specs: list[FitSpec], most: int) -> dict[str, object]:
    """What halving changed: numbers of results, and the largest differences."""
    lm = load_lm(specs[0].model, device="cpu", dtype="float32")
    problems, recipe = [spec.problem(lm) for spec in specs], specs[0].recipe
    whole, halved = (solutions(lm, problems, recipe, chunk) for chunk in (None, most))
    pairs = list(zip(whole, halved, strict=True))
    vectors = [(a.rows - b.rows).abs().max().item() for a, b in pairs]
    loss = [abs(a.nats.mean() - b.nats.mean()).item() for a, b in pairs]
    return {
        "results": len(pairs),
        "with other bits": sum(a.rows.ne(b.rows).any().item() for a, b in pairs),
        "with another accuracy": sum(bool((a.accuracy != b.accuracy).any()) for a, b in pairs),
        "with other steps": sum(a.steps != b.steps for a, b in pairs),
        "solved": sum(a.solved for a, _ in pairs),
        "solved after halving": sum(b.solved for _, b in pairs),
        "solved, then not": sum(a.solved and not b.solved for a, b in pairs),
        "not solved, then solved": sum(b.solved and not a.solved for a, b in pairs),
        "largest entry of a vector": max(a.rows.abs().max().item() for a, _ in pairs),
        "largest difference of an entry": max(vectors),
        "median difference of loss, nats": float(np.median(loss)),
        "largest difference of loss, nats": max(loss),
        "mean difference of accuracy": float(
            np.mean([(b.accuracy - a.accuracy).mean().item() for a, b in pairs])
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--most", type=int, default=1)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--recipe", default="long")
    parser.add_argument("--length", type=int, default=8)
    given = parser.parse_args()
    for name, value in compared(asked(given), given.most).items():
        print(f"{name}: {value:.3g}")


if __name__ == "__main__":
    main()
