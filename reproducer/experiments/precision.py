"""Does solving in bfloat16 cost accuracy? Every accuracy is measured in float32 either way.

Not in the papers, which solve Pythia in float32 and Llama in bfloat16. The same texts from the
same starts, solved in both dtypes; what counts is the paired difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.experiments import plots
from reproducer.experiments.base import fit, fit_frame, tested, texts_of
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.03
DTYPES = ("float32", "bfloat16")


class Params(ExperimentParams):
    """`lengths`: numbers of tokens N; `n_seeds`: starts `seed … seed + n_seeds − 1` of each text.

    `arrangement`: None takes the model's own.
    """

    lengths: tuple[int, ...] = Field((8, 16), min_length=1)
    arrangement: str | None = None
    n_texts: int = Field(32, ge=1)
    n_seeds: int = Field(2, ge=1)


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit for each dtype, length, text and seed."""
    texts = texts_of(params, max(params.lengths))
    return [
        fit(params, [text.prefix(n_tokens)], dtype=dtype, seed=seed)
        for dtype in DTYPES
        for n_tokens in params.lengths
        for text in texts
        for seed in range(params.seed, params.seed + params.n_seeds)
    ]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit; see `reproducer.experiments.base.fit_frame`."""
    return fit_frame(known.all(specs(params, known)), params)


def differences(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy after bfloat16 minus after float32, mean over seeds: rows texts, columns N."""
    wide = df.pivot_table(index="text", columns=["n_tokens", "dtype"], values="accuracy")
    lengths = sorted(df["n_tokens"].unique())
    return pd.DataFrame({n: wide[n]["bfloat16"] - wide[n]["float32"] for n in lengths})


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each N: accuracy and steps in both dtypes, and the paired difference with interval."""
    rows = {}
    for n_tokens, gap in differences(df).items():
        at = df[df["n_tokens"] == n_tokens].groupby("dtype")
        ours, low, high = bootstrap_interval(gap)
        rows[n_tokens] = {
            **{f"accuracy, {dtype}": at["accuracy"].mean()[dtype] for dtype in DTYPES},
            **{f"steps, {dtype}": at["steps"].mean()[dtype] for dtype in DTYPES},
            "difference": ours,
            "low": low,
            "high": high,
        }
    return pd.DataFrame(rows).T.rename_axis("N").round(3)


def figure(df: pd.DataFrame) -> Figure:
    """Paired difference of accuracy for each N, a dot a text, mean with its interval."""
    made, axis = plots.figure()
    for x, (n_tokens, gap) in enumerate(differences(df).items()):
        ours, low, high = bootstrap_interval(gap)
        axis.plot([x] * len(gap), gap, "o", color=plots.PALETTE[0], alpha=0.35)
        error = [[ours - low], [high - ours]]
        axis.errorbar([x + 0.12], [ours], error, fmt="D", color="black", capsize=4)
        axis.annotate(f"N = {n_tokens}", (x, 1.0), xycoords=("data", "axes fraction"), ha="center")
    axis.axhspan(-MARGIN, MARGIN, color="#cccccc", alpha=0.5, lw=0)
    axis.set(ylabel="accuracy, bfloat16 minus float32", xticks=[], xlim=(-0.5, x + 0.5))
    return made


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Our own claim: the mean paired difference lies within ±0.03 at every length."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    return [_equal(df, n_tokens, gap) for n_tokens, gap in differences(df).items()]


def _equal(df: pd.DataFrame, n_tokens: int, gap: pd.Series) -> Verdict:
    ours, low, high = bootstrap_interval(gap)
    if len(gap) < 32:
        verdict = "not tested at this scale"
    else:
        verdict = "reproduced" if low >= -MARGIN and high <= MARGIN else "not reproduced"
    return Verdict(
        id=f"precision.{n_tokens}",
        experiment="precision",
        claim=f"Solving in bfloat16 costs no accuracy at N = {n_tokens}: paired difference",
        published="not in the papers",
        ours=ours,
        low=low,
        high=high,
        n=len(gap),
        model=df["model"].iloc[0],
        profile=df["profile"].iloc[0],
        criterion=f"whole interval within ±{MARGIN}; 32 or more texts",
        verdict=verdict,
    )
