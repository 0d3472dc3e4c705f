"""B1: who attends to `e`? (Bondarenko et al., Figs 1–3)

Attention to `e` by layer, head and position in solved texts. The paper finds it strongest at
early positions. Any position i shares its attention among i inputs, and many models give much
of it to whatever comes first, so we add two references: even attention, 1/i, and the
attention to the first token when the model reads the same text in the ordinary way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.experiments import plots
from reproducer.experiments.base import fit, fit_frame, tested, texts_of, with_readings
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.readings.attention import AttentionSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.specs import Spec
from reproducer.results.vectors import solved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The first quarter of the positions is compared with the last; below this many inputs a
# quarter is too few positions.
MIN_TOKENS, MIN_TEXTS = 16, 5


class Params(ExperimentParams):
    """`min_accuracy`: texts solved less well are left out."""

    n_tokens: int = Field(64, ge=1)
    arrangement: str | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits, and a reading of the attention for each."""
    return [*fits(params), *readings(params)]


def fits(params: Params) -> list[FitSpec]:
    """One fit a text, with `e` and `m` of its own."""
    return [fit(params, [text]) for text in texts_of(params, params.n_tokens)]


def readings(params: Params) -> list[AttentionSpec]:
    """The attention in each of the fits."""
    return [AttentionSpec(model=spec.model, fit=spec) for spec in fits(params)]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit: `fit_frame` and the arrays of `AttentionSpec`; unsolved fits too."""
    pairs = with_readings(readings(params), known)
    if not pairs:
        return pd.DataFrame()
    frame = fit_frame([fitted for fitted, _ in pairs], params)
    columns = pd.DataFrame(
        [{name: a.astype(float) for name, a in reading.arrays.items()} for _, reading in pairs]
    )
    return frame.join(columns).assign(min_accuracy=params.min_accuracy)


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """The solved texts; raises if there are none."""
    return solved(df, df["min_accuracy"].iloc[0])


def table(df: pd.DataFrame) -> pd.DataFrame:
    """By layer, mean over heads, texts and positions after the first: attention and references."""
    good = usable(df)
    to_e, to_first = np.mean(good["to_e"].tolist(), 0), np.mean(good["to_first"].tolist(), 0)
    early, late = _ends(to_e.shape[-1])
    columns = {
        "to e": to_e[..., 1:].mean((1, 2)),
        "to e, first quarter of positions": to_e[..., early].mean((1, 2)),
        "to e, last quarter": to_e[..., late].mean((1, 2)),
        "ordinary text, to its first token": to_first[..., 1:].mean((1, 2)),
    }
    shown = pd.DataFrame(columns, index=pd.RangeIndex(len(to_e), name="layer"))
    uniform = good["uniform"].iloc[0]
    shown.loc["even attention"] = [uniform[s].mean() for s in (slice(1, None), early, late)] + [
        uniform[1 : to_first.shape[-1]].mean()
    ]
    return shown.round(3)


def figure(df: pd.DataFrame) -> Figure:
    """Mean attention over heads and texts against position: some layers, and the references."""
    drawn, axes = plots.figure(2, sharey=True, figsize=(9.5, 4))
    good = usable(df)
    for axis, column, title in zip(axes, ("to_e", "to_first"), _TITLES, strict=True):
        means = np.mean(good[column].tolist(), axis=(0, 2))  # (layers, positions)
        layers = np.unique(np.linspace(0, len(means) - 1, 5).round().astype(int))
        positions = np.arange(1, means.shape[1] + 1)
        for layer, style in plots.line_styles(layers).items():
            axis.plot(positions, means[layer], label=f"layer {layer}", **style, markersize=3.5)
        even = good["uniform"].iloc[0][: len(positions)]
        axis.plot(positions, even, color="black", lw=2.5, alpha=0.4, label="even attention")
        axis.set(xlabel="input position i", title=title, ylim=(-0.02, 1.05))
    axes[0].set_ylabel("share of attention")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


_TITLES = ("proto-tokens: to e", "ordinary text: to its first token")


def heatmap_figure(df: pd.DataFrame) -> Figure:
    """Layer by position: attention to `e`, and to the first token of the ordinary text."""
    drawn, axes = plots.figure(2, sharey=True, figsize=(9.5, 4.2))
    good = usable(df)
    for axis, column, title in zip(axes, ("to_e", "to_first"), _TITLES, strict=True):
        means = np.mean(good[column].tolist(), axis=(0, 2))
        picture = _picture(axis, means, (0.5, means.shape[1] + 0.5))
        axis.set(xlabel="input position i", title=title)
    axes[0].set_ylabel("layer")
    drawn.colorbar(picture, ax=axes, label="share of attention, mean over heads")
    return drawn


def head_figure(df: pd.DataFrame) -> Figure:
    """Layer by head: attention to `e` from the first and from the last quarter of positions."""
    drawn, axes = plots.figure(2, sharey=True, figsize=(9.5, 4.2))
    heads = np.mean(usable(df)["to_e"].tolist(), axis=0)  # (layers, heads, positions)
    ends = zip(axes, _ends(heads.shape[-1]), ("first", "last"), strict=True)
    for axis, positions, name in ends:
        picture = _picture(axis, heads[..., positions].mean(-1), (-0.5, heads.shape[1] - 0.5))
        axis.set(xlabel="head", title=f"from the {name} quarter of positions")
    axes[0].set_ylabel("layer")
    drawn.colorbar(picture, ax=axes, label="share of attention to e")
    return drawn


def _picture(axis, values: np.ndarray, x_range: tuple[float, float]):
    axis.grid(False)
    edges = (*x_range, -0.5, len(values) - 0.5)
    return axis.imshow(
        values, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1, extent=edges
    )


def _ends(n_inputs: int) -> tuple[slice, slice]:
    """First and last quarter of the positions after the first, where attention is 1."""
    quarter = max(1, (n_inputs - 1) // 4)
    return slice(1, 1 + quarter), slice(n_inputs - quarter, n_inputs)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Early positions attend to `e` most; and is that more than an ordinary first token gets?"""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    good = df[df["accuracy"] >= df["min_accuracy"]]
    enough = len(good) >= MIN_TEXTS and df["n_tokens"].iloc[0] >= MIN_TOKENS
    early, late = _ends(df["to_e"].iloc[0].shape[-1])
    fall = [a[..., early].mean() - a[..., late].mean() for a in good["to_e"]]
    n = df["to_first"].iloc[0].shape[-1]
    extra = [row.to_e[..., 1:n].mean() - row.to_first[..., 1:].mean() for row in good.itertuples()]
    needs = f"needs {MIN_TEXTS} solved texts of {MIN_TOKENS} tokens"
    return [
        _verdict(
            df,
            fall,
            enough,
            0.0,
            id="B1.early",
            claim="Attention to e is strongest at early positions: first minus last quarter",
            published="strongest early, then decays (figures, no number)",
            criterion=f"difference above 0, whole interval; {needs}",
        ),
        _verdict(
            df,
            extra,
            enough,
            0.02,
            id="B1.sink",
            claim="e gets more attention than the first token of an ordinary text: difference",
            published="not compared",
            criterion=f"difference above 0.02, whole interval; {needs}",
        ),
    ]


def _verdict(
    df: pd.DataFrame, values: list[float], enough: bool, above: float, **fields
) -> Verdict:
    numbers = bootstrap_interval(values) if values else (None, None, None)
    fields |= {"experiment": "attention", "n": len(values)}
    return verdict_on(df, numbers, lambda d: d > above, enough, **fields)
