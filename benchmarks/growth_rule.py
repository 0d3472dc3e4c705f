"""Which rule of growth holds most for its steps, on texts that no experiment uses.

A rule is the first length, the tokens that each stage adds, and the most steps of a stage. For
each rule, the texts grow until one stage fails; printed are the tokens held and the token-steps
(input positions times steps) spent, over all texts, and their ratio. Results go to the store, so
that an interrupted run resumes.

    python benchmarks/growth_rule.py --texts 8 --end 48 8+8x300 8+4x150 4+4x300
"""

from __future__ import annotations

import argparse
import re

from reproducer.analysis.prefix_search import checked_grid
from reproducer.experiments.trials import Setting, Trials, trials
from reproducer.models.card import model_card
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.solver.arrangements import arrangement
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import load_texts

MODEL, SOURCE = "smollm2-135m", "seen"
FIRST_FREE = 40  # the experiments take texts of a source from its beginning


def grown(rule: str, n_texts: int, end: int, name: str, known: Known) -> Trials:
    """All searches under a rule such as `8+4x150`, to their ends."""
    first, step, max_steps = map(int, re.fullmatch(r"(\d+)\+(\d+)x(\d+)", rule).groups())
    grid = checked_grid((first, first + step), end)
    texts = load_texts(SOURCE, MODEL, FIRST_FREE + n_texts, max(grid))[FIRST_FREE:]
    setting = Setting(
        model=MODEL,
        source=SOURCE,
        way="own m",
        texts=tuple(text.prefix(max(grid)) for text in texts),
        grid=grid,
        strategy="grow",
        stages=grid,
        arrangement=model_card(MODEL).arrangement,
        recipe=recipe(name, max_steps),
    )
    while not (tried := trials(setting, known)).finished:
        compute(tried.specs, known)
    return tried


def main() -> None:
    """Print one line a rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rules", nargs="+", metavar="FIRST+STEPxMAX_STEPS")
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--end", type=int, default=48)
    parser.add_argument("--recipe", default="grow")
    asked = parser.parse_args()
    known = Known()
    print(f"{'rule':>10} {'tokens held':>12} {'mean':>6} {'token-steps':>12} {'for each':>9}")
    for rule in asked.rules:
        tried = grown(rule, asked.texts, asked.end, asked.recipe, known)
        n_inputs = arrangement(tried.setting.arrangement).n_inputs
        spent = sum(n_inputs(n) * r.metrics["steps"] for (_, n), r in tried.results.items())
        held = sum(tried.held.values())
        row = f"{rule:>10} {held:>12} {held / asked.texts:>6.1f} {spent:>12}"
        print(f"{row} {spent / max(held, 1):>9.0f}", flush=True)


if __name__ == "__main__":
    main()
