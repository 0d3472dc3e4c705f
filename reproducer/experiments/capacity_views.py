"""Table and figure of the capacity experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reproducer.experiments import plots
from reproducer.experiments.published import published
from reproducer.experiments.trials import longest

MARKER = {"own m": "o", "shared m": "s", "1 mem": "^", "2 mem": "D"}


def kind(source: str) -> str:
    """What a source is, whatever it is called: ours and the papers' stand in one row."""
    if source.startswith("random"):
        return "random words"
    if source.startswith("generated") or source.endswith("generated"):
        return "generated"
    return {"fanfics": "unseen", "pg19": "seen"}.get(source, source)


def capacities(df: pd.DataFrame) -> pd.DataFrame:
    """`longest` of each text, once where both strategies were run."""
    held = longest(df).sort_values("strategy", kind="stable")
    return held.drop_duplicates(["model", "source", "way", "text"]).sort_index()


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Capacity: ours in columns of their own, then the paper's Table 3.

    `longest` is the maximum over texts, as in the paper; tokens and nats are mean ± standard
    deviation over texts. The paper's cells are `longest; nats`.
    """
    ours = capacities(df).assign(kind=lambda d: d["source"].map(kind))
    columns = {}
    for model, of_model in ours.groupby("model", sort=False):
        groups = of_model.groupby(["way", "kind"])
        columns |= {
            (f"ours ({model})", "texts"): groups.size().astype(str),
            (f"ours ({model})", "longest"): groups["held_tokens"].max().astype(str),
            (f"ours ({model})", "tokens"): groups["held_tokens"].agg(_mean_and_std),
            (f"ours ({model})", "nats"): groups["h_lm_nats"].agg(_mean_and_std),
            (f"ours ({model})", "bits/character"): groups["bits_per_character"].agg(_mean),
        }
    theirs = published("capacity")
    theirs["way"] = np.where(theirs["shared_m"], "shared m", "own m")
    theirs["kind"] = theirs["source"].map(kind)
    for model, rows in theirs.groupby("model", sort=False):
        rows = rows.set_index(["way", "kind"])
        columns["paper: longest; nats", model] = rows.apply(
            lambda r: f"{r.max_tokens}; {r.h_lm_mean_nats:.0f} ± {r.h_lm_std_nats:.0f}", axis=1
        )
    wide = pd.DataFrame(columns).rename_axis(index=["", "source"])
    return wide.sort_index().fillna("")


def _mean_and_std(values: pd.Series) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=0):.1f}"


def _mean(values: pd.Series) -> str:
    return f"{values.mean():.2f}" if values.notna().any() else "–"


def figure(df: pd.DataFrame) -> Figure:
    """Capacity of every text, in tokens and in nats: a column a source, bars are means."""
    held = capacities(df)
    made, axes = plots.figure(2)
    end = df["n_tokens"].max()
    _strips(axes[0], held, "held_tokens", 1.08 * end)
    _strips(axes[1], held, "h_lm_nats", 1.08 * max(held["h_lm_nats"].max(), 1.0))
    axes[0].axhline(end, color="#555555", lw=0.8, ls=":", zorder=0)
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes[0].annotate("longest tried", (1, end), (-2, 3), ha="right", fontsize=8, **place)
    axes[0].set_ylabel("longest prefix that comes back, tokens")
    axes[1].set_ylabel("its information $H_{LM}$, nats")
    made.legend(handles=_legend(held), loc="outside lower center", ncols=4, frameon=False)
    return made


def _strips(axis: Axes, held: pd.DataFrame, quantity: str, top: float) -> None:
    sources = list(dict.fromkeys(held["source"]))
    series = list(held.groupby(["model", "way"], sort=False).groups)
    width = 0.8 / len(series)
    for k, (model, way) in enumerate(series):
        style = series_style(model, way)
        for x, source in enumerate(sources):
            chosen = (held["model"] == model) & (held["way"] == way) & (held["source"] == source)
            values = held.loc[chosen, quantity].sort_values()
            middle = x + (k + 0.5) * width - 0.4
            spread = np.linspace(-0.3, 0.3, len(values)) * width if len(values) > 1 else [0.0]
            axis.plot(middle + np.asarray(spread), values, ls="", ms=4, alpha=0.7, **style)
            axis.plot([middle - 0.4 * width, middle + 0.4 * width], [values.mean()] * 2,
                      color=style["color"], lw=2.5)  # fmt: skip
    axis.set_xticks(range(len(sources)), sources)
    axis.set_ylim(0, top)


def series_style(model: str, way: str) -> dict:
    """Colour by model, marker by way; a shared `m` is hollow."""
    colour = plots.MODEL_COLOURS.get(model, "#777777")
    face = "none" if way == "shared m" else colour
    return {"color": colour, "marker": MARKER[way], "markerfacecolor": face}


def _legend(held: pd.DataFrame) -> list[Line2D]:
    return [
        Line2D([], [], ls="", label=f"{model}, {way}", **series_style(model, way))
        for model, way in held.groupby(["model", "way"], sort=False).groups
    ]
