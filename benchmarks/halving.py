"""How far results move when memory runs short and the solver halves its batch.

`python -m benchmarks.halving [--steps 200]` fits the texts of `arrangements` under the profile
`smoke` twice: undisturbed, and on a machine that refuses more than one sequence at a time. Whatever
differs is rounding: a product over another number of rows adds in another order.
"""

from __future__ import annotations

import argparse
from unittest import mock

import numpy as np

from reproducer.experiments.base import grid
from reproducer.experiments.profiles import load_params
from reproducer.models.language_model import LanguageModel, load_lm
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


def compared(n_steps: int, n_texts: int) -> dict[str, object]:
    """What halving changed: numbers of results, and the largest differences."""
    lm = load_lm("tiny", device="cpu", dtype="float32")
    params = load_params("arrangements", "smoke", max_steps=n_steps, n_texts=n_texts)
    specs = grid(params, params.arrangements)
    problems, recipe = [spec.problem(lm) for spec in specs], specs[0].recipe
    whole, halved = (solutions(lm, problems, recipe, chunk) for chunk in (None, 1))
    pairs = list(zip(whole, halved, strict=True))
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
    given = parser.parse_args()
    for name, value in compared(given.steps, given.texts).items():
        print(f"{name}: {value:.3g}")


if __name__ == "__main__":
    main()
