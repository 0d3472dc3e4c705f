"""Does solving in bfloat16 cost accuracy? Every accuracy is measured in float32 either way.

Not in the papers, which solve Pythia in float32 and Llama in bfloat16. The same texts from the
same starts, solved in both dtypes; what counts is the paired difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from reproducer.analysis.estimates import Interval
from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import plots
from reproducer.experiments.base import ArrangementName, Protocol, fit, fit_frame, texts_of
from reproducer.experiments.cells import number, with_interval
from reproducer.experiments.claims import Part, Verdict, verdict, within
from reproducer.experiments.profiles import ExperimentParams
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.03
DTYPES = ("float32", "bfloat16")

PROTOCOL = Protocol(
    paper="Pythia is fitted in float32 and Llama in bfloat16; no comparison is reported.",
    ours="The same texts from the same starts in both, every accuracy measured in float32; paired "
    "differences, the starts of a text averaged.",
    why="Many machines compute faster in bfloat16, which is worth it only if it finds as good a "
    "state.",
)


class Params(ExperimentParams):
    """`lengths`: numbers of tokens N; `n_seeds`: starts `seed … seed + n_seeds − 1` of each text.

    `arrangement`: None takes the model's own.
    """

    lengths: tuple[int, ...] = Field((8, 16), min_length=1)
    arrangement: ArrangementName | None = None
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


def differences(df: pd.DataFrame) -> dict[int, pd.Series]:
    """By N: accuracy after bfloat16 minus after float32, by text, mean over the seeds of both."""
    if df.empty:
        return {}
    index = ["n_tokens", "text", "seed"]
    wide = df.pivot_table(index=index, columns="dtype", values="accuracy").reindex(columns=DTYPES)
    gaps = (wide["bfloat16"] - wide["float32"]).dropna().groupby(["n_tokens", "text"]).mean()
    return {n: gaps.xs(n) for n in gaps.index.unique("n_tokens")}


def _interval(gap: pd.Series) -> Interval:
    return mean_interval(gap, bounds=(-1, 1))


def table(df: pd.DataFrame) -> pd.DataFrame:
    """For each N: accuracy and steps in both dtypes, and the paired difference with interval."""
    cells = {}
    for n_tokens, gap in differences(df).items():
        means = df[df["n_tokens"] == n_tokens].groupby("dtype")[["accuracy", "steps"]].mean()
        cells[n_tokens] = {
            **{f"accuracy, {dtype}": number(means["accuracy"][dtype], 3) for dtype in DTYPES},
            **{f"steps, {dtype}": number(means["steps"][dtype], 0) for dtype in DTYPES},
            "difference": with_interval(_interval(gap), 3, signed=True),
        }
    return pd.DataFrame(cells).T.rename_axis("N")


def figure(df: pd.DataFrame) -> Figure:
    """Paired difference of accuracy for each N: a dot a text, mean with its interval.

    The band is the margin of the claim.
    """
    drawn, axis = plots.figure(figsize=(6, 4))
    gaps = differences(df)
    for x, gap in enumerate(gaps.values()):
        mean = _interval(gap)
        axis.plot([x] * len(gap), gap, "o", color=plots.PALETTE[0], alpha=0.35)
        error = [[mean.estimate - mean.low], [mean.high - mean.estimate]]
        axis.errorbar([x + 0.12], [mean.estimate], error, fmt="D", color="black", capsize=4)
    axis.axhspan(-MARGIN, MARGIN, color="#cccccc", alpha=0.5, lw=0)
    axis.set_xticks(range(len(gaps)), list(gaps))
    xlim = (-0.5, max(len(gaps), 1) - 0.5)
    axis.set(xlabel="tokens N", ylabel="accuracy, bfloat16 minus float32", xlim=xlim)
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Our own claim: the mean paired difference lies within ±0.03, at every length."""
    if df.empty:
        return []
    equal = within(-MARGIN, MARGIN, "less than a token in thirty")
    parts = [Part(_interval(gap), equal, f"N = {n}") for n, gap in differences(df).items()]
    return [
        verdict(
            df,
            *parts,
            untested="" if parts else "texts fitted in both dtypes",
            id="precision.bfloat16",
            experiment="precision",
            unit="texts",
            claim="Solving in bfloat16 costs no accuracy: paired difference",
        )
    ]
