"""B1: who attends to `e`? (Bondarenko et al., Figs 1–3)

Attention to `e` by layer, head and position in solved texts. The paper finds it strongest at
early positions. But position i shares its attention among i inputs, and many models give much of
it to whatever comes first, so attention to a first input falls whatever that input holds. What `e`
adds shows against two references: even attention, 1/i, and the attention to the first token when
the model reads the same text in the ordinary way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import mean_interval
from reproducer.experiments import plots
from reproducer.experiments.base import (
    ArrangementName,
    Protocol,
    fit,
    fit_frame,
    texts_of,
    with_readings,
)
from reproducer.experiments.cells import dashed
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.readings.attention import AttentionSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.specs import Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The first quarter of the positions is compared with the last; with fewer tokens a quarter is too
# few positions.
MIN_TOKENS = 16
MARGIN = above(0.05, "a twentieth of all attention")
TO_E, TO_FIRST, EVEN = "to e", "ordinary text, to its first token", "even attention"
NOTHING = "no solved text"
PROTOCOL = Protocol(
    paper="Attention weights of solved texts on Llama-3.2-1B: the mean over heads in each layer, "
    "maps of position by layer, single heads. Attention to e is described as strongest at early "
    "positions; no number is given.",
    ours="The same weights and pictures. The fall from the first quarter of the positions to the "
    "last is stated for e, for even attention and for the first token of the same text, read in "
    "the ordinary way. The verdict asks for a fall beyond both.",
    why="A later position divides its attention among more inputs, and models park attention at "
    "the first position. Both make attention to any first input fall, whatever it holds.",
)


class Params(ExperimentParams):
    """`min_accuracy`: texts solved less well are left out."""

    n_tokens: int = Field(64, ge=1)
    arrangement: ArrangementName | None = None
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
    arrays = [{name: a.astype(float) for name, a in r.arrays.items()} for _, r in pairs]
    return frame.join(pd.DataFrame(arrays)).assign(min_accuracy=params.min_accuracy)


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """The solved texts."""
    return df[df["accuracy"] >= df["min_accuracy"]]


def effects(df: pd.DataFrame) -> pd.DataFrame:
    """Means over layers and heads of each solved text (row).

    Columns: `fall` of the attention to `e` and `even`, that of even attention; `fall_in_text` over
    as many inputs as the ordinary text has, and `ordinary`, that of its first token; `level` and
    `ordinary_level`, mean attention to either from those inputs but the first.
    """
    good = usable(df).set_index("text")
    n_tokens = good["to_first"].map(lambda shares: shares.shape[-1])
    shared = [e[..., :n] for e, n in zip(good["to_e"], n_tokens, strict=True)]
    of = {
        "fall": good["to_e"].map(_fall),
        "even": good["uniform"].map(_fall),
        "fall_in_text": [_fall(shares) for shares in shared],
        "ordinary": good["to_first"].map(_fall),
        "level": [_level(shares) for shares in shared],
        "ordinary_level": good["to_first"].map(_level),
    }
    return pd.DataFrame(of, good.index, dtype=float)


def _fall(shares: np.ndarray) -> float:
    """Mean share (…, n_inputs) of the first quarter of positions minus that of the last."""
    if shares.shape[-1] < 3:
        return float("nan")
    early, late = _quarters(shares.shape[-1])
    return float(shares[..., early].mean() - shares[..., late].mean())


def _level(shares: np.ndarray) -> float:
    return float(shares[..., 1:].mean()) if shares.shape[-1] > 1 else float("nan")


def _quarters(n_inputs: int) -> tuple[slice, slice]:
    """First and last quarter of the positions after the first, where attention is 1."""
    quarter = max(1, (n_inputs - 1) // 4)
    return slice(1, 1 + quarter), slice(n_inputs - quarter, n_inputs)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """By how much attention falls from the first to the last quarter of positions: mean, extremes.

    The first row is the paper's measure, which any causal attention meets.
    """
    of = effects(df)
    falls = {
        "to e (any causal attention falls)": of["fall"],
        EVEN: of["even"],
        TO_FIRST: of["ordinary"],
        "to e, beyond even attention": of["fall"] - of["even"],
        "to e, beyond the ordinary first token": of["fall_in_text"] - of["ordinary"],
    }
    cells = pd.DataFrame(falls).agg(["mean", "min", "max"]).T
    return dashed(cells, 3).set_axis(["mean fall", "least of a text", "greatest of a text"], axis=1)


def figure(df: pd.DataFrame) -> Figure:
    """Attention to `e` by position, mean over layers and heads, beside both references.

    Lines are means over texts, bands hold all of them, and the quarters compared are shaded.
    """
    good = usable(df)
    if good.empty:
        return plots.nothing(NOTHING)
    drawn, axis = plots.figure(figsize=(6, 4))
    columns = {TO_E: "to_e", TO_FIRST: "to_first", EVEN: "uniform"}
    for label, style in plots.line_styles(columns).items():
        shares = [a.reshape(-1, a.shape[-1]).mean(0) for a in good[columns[label]]]
        positions = np.arange(1, len(shares[0]) + 1)
        axis.plot(positions, np.mean(shares, 0), label=label, **style, markersize=4)
        band = {"color": style["color"], "alpha": 0.15, "lw": 0}
        axis.fill_between(positions, np.min(shares, 0), np.max(shares, 0), **band)
    for quarter in _quarters(len(good["uniform"].iloc[0])):
        axis.axvspan(quarter.start + 0.5, quarter.stop + 0.5, color="#f0f0f0", zorder=0)
    axis.set(xlabel="input position i", ylabel="share of attention", ylim=(0, 1.02))
    axis.locator_params(axis="x", integer=True)
    axis.legend(loc="best")
    return drawn


def heatmap_figure(df: pd.DataFrame) -> Figure:
    """Layer by position: attention to `e`, and to the first token of the ordinary text."""
    good = usable(df)
    means = {
        title: np.mean(good[column].tolist(), axis=(0, 2))  # (layers, positions)
        for title, column in ((TO_E, "to_e"), (TO_FIRST.replace(", ", ",\n"), "to_first"))
        if len(good)
    }
    return _heatmaps(means, "input position i", first=1)


def head_figure(df: pd.DataFrame) -> Figure:
    """Layer by head: attention to `e` from the first and from the last quarter of positions."""
    good = usable(df)
    means = {}
    if len(good):
        heads = np.mean(good["to_e"].tolist(), axis=0)  # (layers, heads, positions)
        early, late = (heads[..., quarter].mean(-1) for quarter in _quarters(heads.shape[-1]))
        means = {"to e, from the first\nquarter": early, "to e, from the last\nquarter": late}
    return _heatmaps(means, "head", first=0)


def _heatmaps(means: dict[str, np.ndarray], across: str, first: int) -> Figure:
    """Pictures of shares (layers, columns) side by side; columns are numbered from `first`."""
    import seaborn as sns  # late: it takes a second

    if not means:
        return plots.nothing(NOTHING)
    drawn, axes = plots.figure(2, sharey=True, figsize=(6, 4.2))
    for axis, (title, values) in zip(axes, means.items(), strict=True):
        shares = pd.DataFrame(values, columns=range(first, first + values.shape[1]))
        sns.heatmap(shares, ax=axis, vmin=0, vmax=1, cmap="viridis", cbar=False)
        axis.set(title=title, xlabel=across)
        axis.tick_params(rotation=0)
        axis.grid(False)
    axes[0].invert_yaxis()
    axes[0].set_ylabel("layer")
    drawn.colorbar(axes[0].collections[0], ax=axes, label="share of attention")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Early positions attend to `e` more than they would anyway; and so do all, on the whole."""
    if df.empty:
        return []
    of = effects(df)
    untested = "" if df["n_tokens"].max() >= MIN_TOKENS else f"{MIN_TOKENS} or more tokens a text"
    first = df["uniform"].iloc[0]
    if not untested and not np.allclose(first * np.arange(1, len(first) + 1), 1):
        untested = "an arrangement with one e, in the first place"
    common = {"experiment": "attention", "unit": "texts", "untested": untested}
    return [
        verdict(
            df,
            (mean_interval(of["fall"] - of["even"]), MARGIN, "beyond even attention"),
            (mean_interval(of["fall_in_text"] - of["ordinary"]), MARGIN, "beyond a first token"),
            id="B1.early",
            claim="Attention to e is strongest at early positions, more than causal attention is "
            "anyway: its fall from the first to the last quarter of positions minus that of even "
            "attention, and minus that to the first token of the same text, read as usual",
            published="strongest early, then decays (figures, no number; even attention does, too)",
            **common,
        ),
        verdict(
            df,
            (mean_interval(of["level"] - of["ordinary_level"]), MARGIN),
            id="B1.sink",
            own=True,
            claim="e gets more attention than the first token of the same text read in the "
            "ordinary way: difference, mean over layers, heads and positions",
            **common,
        ),
    ]
