"""Frames of results that were never computed, with truths planted in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def fit_columns(**columns) -> dict:
    """The columns of one solved fit that claims, tables and figures may ask for."""
    return {
        "key": "k",
        "profile": "test",
        "model": "planted",
        "recipe": "paper",
        "source": "unseen",
        "accuracy": 1.0,
        "min_accuracy": 1.0,
        "n_tokens": 16,
        "seed": 0,
        "share": "none",
        "start": "own",
        "warm_m": False,
        **columns,
    }


def words(module, df: pd.DataFrame) -> dict[str, str]:
    """The verdict of each claim by its id."""
    verdicts = module.claims(df)
    assert len({v.id for v in verdicts}) == len(verdicts)
    return {v.id: v.verdict for v in verdicts}


def answers_any_part_of(module, df: pd.DataFrame, extra=()) -> None:
    """Tables, figures and claims of random parts of a frame raise nothing and show no nan."""
    draw = np.random.default_rng(0)
    sizes = (0, 1, 2, 3, 5, len(df) // 8, len(df) // 2, len(df))
    for size in sizes:
        part = df.iloc[np.sort(draw.choice(len(df), size, replace=False))]
        module.claims(part)
        if part.empty:
            continue
        for name in ("table", *extra):
            shown = getattr(module, name)(part).to_string().lower()
            assert "nan" not in shown and "inf" not in shown and "-0.00 " not in shown, shown
        assert isinstance(module.figure(part), Figure)
    unsolved = df.assign(accuracy=0.0)
    assert not module.table(unsolved).to_string().lower().count("nan")
    assert isinstance(module.figure(unsolved), Figure)
    assert not {"reproduced", "holds", "contradicted"} & set(words(module, unsolved).values())
