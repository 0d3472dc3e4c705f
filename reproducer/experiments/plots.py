"""One look for all figures: style, a colour for each model and each arrangement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reproducer.analysis.estimates import Interval

# Okabe & Ito's palette: told apart by colour-blind readers; markers and dashes serve greyscale.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DENSITY_PAIRS = 5000
DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1)), (0, (1, 1)))

MODEL_COLOURS = {
    "smollm2-135m": "#0072B2",
    "pythia-160m": "#E69F00",
    "pythia-410m": "#D55E00",
    "pythia-1.4b": "#A6340B",
    "llama-3.2-1b": "#56B4E9",
    "llama-3.2-3b": "#009E73",
    "llama-3.1-8b": "#005C42",
    "tiny": "#777777",
}

STYLE = {
    "figure.figsize": (7.0, 4.0),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "font.size": 10,
    "axes.titlesize": 11,
    "legend.frameon": False,
    "svg.hashsalt": "reproducer",
}


def figure(n_columns: int = 1, n_rows: int = 1, **options) -> tuple[Figure, Axes]:
    """`plt.subplots` in the house style; width grows with the number of columns."""
    # Imported late: tables and verdicts do without.
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        width, height = STYLE["figure.figsize"]
        width = width if n_columns == 1 else 4.4 * n_columns
        options.setdefault("figsize", (width, height * n_rows))
        drawn, axes = plt.subplots(n_rows, n_columns, **options)
    # Closed for pyplot, so that a notebook draws it once: where the cell returns it.
    plt.close(drawn)
    return drawn, axes


def nothing(why: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    drawn, axis = figure(figsize=(7.0, 1.2))
    axis.text(0.5, 0.5, why, ha="center", va="center", transform=axis.transAxes)
    axis.set_axis_off()
    return drawn


def line_styles(names: Iterable[str]) -> dict[str, dict]:
    """A distinct colour, marker and dash for each name, in order."""
    return {
        name: {"color": PALETTE[i % 7], "marker": MARKERS[i % 7], "linestyle": DASHES[i % 7]}
        for i, name in enumerate(names)
    }


def by_length(
    df: pd.DataFrame, value: str, arrangements: Iterable[str], label: str
) -> tuple[Figure, Axes]:
    """Mean over texts of a share against N, a line for each arrangement ± one standard error."""
    drawn, axis = figure()
    for name, style in line_styles(arrangements).items():
        groups = df[df["arrangement"] == name].groupby("n_tokens")[value]
        mean, error = groups.mean(), groups.sem().fillna(0)
        axis.plot(mean.index, mean, label=name, **style)
        band = {"color": style["color"], "alpha": 0.15, "lw": 0}
        axis.fill_between(mean.index, mean - error, mean + error, **band)
    powers_axis(axis, df["n_tokens"])
    axis.set(xlabel="tokens N", ylabel=label, ylim=(-0.03, 1.05))
    legend(axis, title="arrangement")
    return drawn, axis


def legend(axis: Axes, **options) -> None:
    """A legend, if there is anything to name."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(**{"frameon": False} | options)


def density(axis: Axes, values: pd.Series, name: str, style: dict) -> None:
    """A kernel density, or a mark for each pair where there are too few for one."""
    import numpy as np
    from scipy.stats import gaussian_kde

    drawn = values.sample(min(len(values), DENSITY_PAIRS), random_state=0).to_numpy()
    label, colour = f"{name} ({len(values)} pairs)", style["color"]
    if len(drawn) < 3 or np.ptp(drawn) < 1e-9:
        axis.plot(drawn, np.zeros(len(drawn)), style["marker"], color=colour, label=label)
        return
    pad = 0.1 * np.ptp(drawn)
    grid = np.linspace(drawn.min() - pad, drawn.max() + pad, 200)
    heights = gaussian_kde(drawn)(grid)
    axis.plot(grid, heights, label=label, color=colour, linestyle=style["linestyle"])
    axis.fill_between(grid, heights, color=colour, alpha=0.12, lw=0)


def dots(axis: Axes, series: dict[str, dict[str, Interval]]) -> None:
    """Estimates with their intervals: a marker for each series, a line for each name in it."""
    order = list(dict.fromkeys(name for values in series.values() for name in values))
    for shift, (label, style) in enumerate(line_styles(series).items()):
        values = series[label]
        middle = np.array([i.estimate for i in values.values()])
        ends = np.array([(i.low, i.high) for i in values.values()]).reshape(-1, 2)
        reach = np.nan_to_num(np.abs(ends.T - middle), posinf=0)
        place = [order.index(name) + 0.12 * shift for name in values]
        look = {"color": style["color"], "fmt": style["marker"], "lw": 1, "label": label}
        axis.errorbar(middle, place, xerr=reach, **look)
    axis.set_yticks(range(len(order)), order)
    axis.set_ylim(len(order) - 0.5, -0.5)


def powers_axis(axis: Axes, values: Iterable[int]) -> None:
    """A base-2 logarithmic x axis whose ticks are the values themselves."""
    ticks = sorted(set(values))
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()


def log_axis(axis: Axes) -> None:
    """A logarithmic y axis with plain numbers at 1, 2 and 5 of every decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def mean_trace(traces: Iterable[np.ndarray]) -> np.ndarray:
    """Mean over fits by step; a fit that ended keeps its last value."""
    traces = list(traces)
    longest = max(len(trace) for trace in traces)
    return np.mean([np.pad(t, (0, longest - len(t)), mode="edge") for t in traces], axis=0)
