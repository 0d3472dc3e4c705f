"""Fitted proto-tokens as vectors of a frame, ready to be compared.

A frame of fits (`fit_frame`) gets a column for `e` and one for `m`; `stacked` turns rows of
it into a matrix for any of `TOKENS`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import unit
from reproducer.errors import require_name
from reproducer.results.fits import FitSpec
from reproducer.results.solutions import proto_tokens
from reproducer.results.specs import Result

TOKENS = ("e", "m", "[e;m]")


def with_vectors(
    frame: pd.DataFrame, results: Iterable[Result], from_start: bool = False
) -> pd.DataFrame:
    """`frame` with columns `e` and `m`, float64 arrays (d_model,), of each sequence.

    `from_start`: how far each vector moved from where its fit started, instead of where it ended.
    """
    if frame.empty:
        return frame
    vectors: dict[str, list[np.ndarray]] = {"e": [], "m": []}
    for result in results:
        points = proto_tokens(FitSpec(**result.spec), result, from_start).astype(np.float64)
        for role, column in enumerate(vectors.values()):
            column.extend(points[:, role])
    return frame.assign(**vectors)


def stacked(frame: pd.DataFrame, tokens: str) -> np.ndarray:
    """One of `TOKENS` as a matrix (n_rows, d).

    In `[e;m]` both parts have length 1, so that the longer one does not decide alone.
    """
    require_name("token", tokens, TOKENS)
    parts = [np.stack(frame[role].to_list()) for role in ("e", "m") if role in tokens]
    return parts[0] if len(parts) == 1 else np.hstack([unit(part) for part in parts])
