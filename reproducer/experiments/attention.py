"""B1: who attends to `e`? (Bondarenko et al., Figs 1–3)

Attention to `e` by layer, head and position in solved texts. The paper finds it strongest at
early positions. Any position i shares its attention among i inputs, and many models give much of
it to whatever comes first: so causal attention falls with position whatever `e` is. What `e` adds
shows against two references: even attention, 1/i, and the attention to the first token when the
model reads the same text in the ordinary way.
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
    number,
    texts_of,
    with_readings,
)
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.readings.attention import AttentionSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.specs import Spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# The first quarter of the positions is compared with the last; with fewer tokens a quarter is too
# few positions.
MIN_TOKENS = 16
MARGIN = above(0.05, "a twentieth of all attention")
TITLES = ("proto-tokens: to e", "ordinary text: to its first token")
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
    columns = pd.DataFrame(
        [{name: a.astype(float) for name, a in reading.arrays.items()} for _, reading in pairs]
    )
    return frame.join(columns).assign(min_accuracy=params.min_accuracy)


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """The solved texts."""
    return df[df["accuracy"] >= df["min_accuracy"]]


def effects(df: pd.DataFrame) -> pd.DataFrame:
    """Means over layers and heads of each solved text (row).

    Columns: `fall` of the attention to `e` and `even`, that of even attention; `fall_in_text` over
    as many inputs as the ordinary text has, and `ordinary`, that of its first token; `level` and
    `ordinary_level`, mean attention to either from those inputs but the first.
    """
    columns = ("fall", "even", "fall_in_text", "ordinary", "level", "ordinary_level")
    values = []
    for row in usable(df).itertuples():
        to_e = row.to_e[..., : row.to_first.shape[-1]]
        falls = map(_fall, (row.to_e, row.uniform, to_e, row.to_first))
        levels = (_mean(a[..., 1:]) for a in (to_e, row.to_first))
        values.append((*falls, *levels))
    return pd.DataFrame(values, columns=columns, index=usable(df)["text"], dtype=float)


def _fall(shares: np.ndarray) -> float:
    """Mean share (…, n_inputs) of the first quarter of positions minus that of the last."""
    if shares.shape[-1] < 3:
        return float("nan")
    early, late = _ends(shares.shape[-1])
    return float(shares[..., early].mean() - shares[..., late].mean())


def _ends(n_inputs: int) -> tuple[slice, slice]:
    """First and last quarter of the positions after the first, where attention is 1."""
    quarter = max(1, (n_inputs - 1) // 4)
    return slice(1, 1 + quarter), slice(n_inputs - quarter, n_inputs)


def fall_table(df: pd.DataFrame) -> pd.DataFrame:
    """By how much attention falls from the first to the last quarter of positions: mean, extremes.

    The first row is the paper's measure, which any causal attention meets.
    """
    of = effects(df)
    values = {
        "to e (any causal attention falls)": of["fall"],
        "even attention": of["even"],
        "ordinary text, to its first token": of["ordinary"],
        "to e, beyond even attention": of["fall"] - of["even"],
        "to e, beyond the ordinary first token": of["fall_in_text"] - of["ordinary"],
    }
    cells = {
        name: {
            "mean fall": number(v.mean(), 3),
            "least … greatest of a text": f"{number(v.min(), 3)} … {number(v.max(), 3)}",
        }
        for name, v in values.items()
    }
    return pd.DataFrame(cells).T


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Mean attention by layer, over heads, positions and solved texts, and the references."""
    good = usable(df)
    columns = ("to e", "to e, first quarter of positions", "to e, last quarter", TITLES[1])
    if good.empty:
        return pd.DataFrame("–", index=[NOTHING], columns=columns)
    to_e, to_first = np.mean(good["to_e"].tolist(), 0), np.mean(good["to_first"].tolist(), 0)
    early, late = _ends(to_e.shape[-1])
    parts = [to_e[..., 1:], to_e[..., early], to_e[..., late], to_first[..., 1:]]
    uniform = good["uniform"].iloc[0]
    even = [uniform[1:], uniform[early], uniform[late], uniform[1 : to_first.shape[-1]]]
    by_layer = [[_mean(part[layer]) for part in parts] for layer in range(len(to_e))]
    by_layer.append([_mean(part) for part in even])
    index = pd.Index([*range(len(to_e)), "even attention"], name="layer")
    return pd.DataFrame(by_layer, index=index, columns=columns).map(lambda v: number(v, 3))


def _mean(shares: np.ndarray) -> float:
    return float(shares.mean()) if shares.size else float("nan")


def figure(df: pd.DataFrame) -> Figure:
    """Mean attention over heads and texts against position: some layers, and the references."""
    good = usable(df)
    if good.empty:
        return plots.nothing(NOTHING)
    drawn, axes = plots.figure(2, sharey=True, figsize=(9.5, 4))
    for axis, column, title in zip(axes, ("to_e", "to_first"), TITLES, strict=True):
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


def heatmap_figure(df: pd.DataFrame) -> Figure:
    """Layer by position: attention to `e`, and to the first token of the ordinary text."""
    good = usable(df)
    if good.empty:
        return plots.nothing(NOTHING)
    means = [np.mean(good[column].tolist(), axis=(0, 2)) for column in ("to_e", "to_first")]
    drawn, axes = _pictures(means, 0.5, TITLES, "share of attention, mean over heads")
    for axis in axes:
        axis.set_xlabel("input position i")
    return drawn


def head_figure(df: pd.DataFrame) -> Figure:
    """Layer by head: attention to `e` from the first and from the last quarter of positions."""
    good = usable(df)
    if good.empty:
        return plots.nothing(NOTHING)
    heads = np.mean(good["to_e"].tolist(), axis=0)  # (layers, heads, positions)
    means = [heads[..., positions].mean(-1) for positions in _ends(heads.shape[-1])]
    titles = [f"from the {name} quarter of positions" for name in ("first", "last")]
    drawn, axes = _pictures(means, -0.5, titles, "share of attention to e")
    for axis in axes:
        axis.set_xlabel("head")
    return drawn


def _pictures(means: list, left: float, titles, label: str) -> tuple[Figure, list[Axes]]:
    """Two pictures of values (layers, columns) side by side, with one scale of colours."""
    drawn, axes = plots.figure(2, sharey=True, figsize=(9.5, 4.2))
    picture: AxesImage | None = None
    for axis, values, title in zip(axes, means, titles, strict=True):
        axis.grid(False)
        edges = (left, left + values.shape[1], -0.5, len(values) - 0.5)
        look = {"origin": "lower", "aspect": "auto", "cmap": "viridis", "vmin": 0, "vmax": 1}
        picture = axis.imshow(values, extent=edges, **look)
        axis.set(title=title)
    axes[0].set_ylabel("layer")
    drawn.colorbar(picture, ax=axes, label=label)
    return drawn, list(axes)


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
