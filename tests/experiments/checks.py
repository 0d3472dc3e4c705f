"""What every experiment's claims, tables and figures stand up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reproducer.experiments.claims import Verdict


def words(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """The word of each claim by its id."""
    return {v.id: v.verdict for v in verdicts}


def answers_on_subsets(
    module: ModuleType, df: pd.DataFrame, *others: Callable, n_draws: int = 12
) -> None:
    """Claims, table, figure and `others` answer on random rows of `df`, down to one and none."""
    draw = np.random.default_rng(0)
    sizes = [len(df), 0, 1, 2, 3, *draw.integers(1, len(df), n_draws)]
    for number, size in enumerate(sizes):
        some = df.sample(size, random_state=number) if size else df.iloc[:0]
        if not size and number % 2:
            some = pd.DataFrame()
        verdicts = module.claims(some)
        assert all(v.n <= size for v in verdicts)
        for shown in (module.table, module.figure, *others):
            answer = shown(some)
            if isinstance(answer, pd.DataFrame):
                text = answer.to_string().lower()
                assert not any(bad in text for bad in ("nan", "inf", "-0.00 ")), text
            else:
                assert isinstance(answer, Figure)
