"""Frames of pairs of solutions with a planted order of the groups."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reproducer.experiments.pairs import DIFFERENT, SAME_CONTEXT, SAME_TEXT

SOLUTIONS = ("a", "a", "a", "b", "c")  # the text of each of a context's solutions
STARTS = (0, 1, 2, 0, 0)


def planted_pairs(
    same_text=0.0,
    same_context=0.0,
    different=0.0,
    *,
    n_contexts=24,
    share="m",
    start="own",
    role="e",
    model="smollm2-135m",
    slope=0.0,
    across_starts=0.0,
    seed=0,
):
    """Distances around the centre of their group, with effects of context, pair and text distance.

    The noise has standard deviation 1; two texts of different contexts are farther apart, by
    `token_distance` and `semantic_distance`, which adds `slope` times itself to the distance.
    `across_starts` is added where fits from a common start began at two points.
    """
    draw = np.random.default_rng(seed)
    context = np.repeat(np.arange(n_contexts), len(SOLUTIONS))
    text = np.array([f"{c}{t}" for c in range(n_contexts) for t in SOLUTIONS])
    place = np.tile(STARTS, n_contexts)
    i, j = np.triu_indices(len(text), 1)
    a, b = context[i], context[j]
    group = np.select([text[i] == text[j], a == b], [SAME_TEXT, SAME_CONTEXT], DIFFERENT)
    centre = pd.Series(group).map(
        {SAME_TEXT: same_text, SAME_CONTEXT: same_context, DIFFERENT: different}
    )
    apart = draw.uniform(size=len(i)) + 0.5 * (a != b)
    of_context = 0.1 * draw.normal(size=n_contexts)
    noise = draw.normal(size=len(i)) + of_context[a] + of_context[b]
    same_start = (start == "common") & (place[i] == place[j])
    starts_apart = across_starts * ((start == "common") & ~same_start)
    return pd.DataFrame(
        {
            "model": model,
            "profile": "test",
            "share": share,
            "start": start,
            "role": role,
            "group": group,
            "same_start": same_start,
            "context_a": [f"c{k:03d}" for k in a],
            "context_b": [f"c{k:03d}" for k in b],
            "text_a": text[i],
            "text_b": text[j],
            "distance": centre + noise + slope * apart + starts_apart,
            "token_distance": apart,
            "semantic_distance": 0.2 + apart / 2,
            "counts": "shared m: some solutions",
            "n_tokens": 4,
            "recipe": "paper",
            "device": "CPU",
        }
    )
