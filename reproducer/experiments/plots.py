"""One look for all figures: style and colours, the papers' values, what this run did not test.

A phone shows a figure at half its size, and its letters must still be large enough to read: no
more than two panels stand side by side, and legends stand below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas.api.typing import SeriesGroupBy

    from reproducer.analysis.estimates import Interval

# Okabe & Ito's palette: told apart by colour-blind readers; markers and dashes serve greyscale.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1)), (0, (1, 1)))
GREY = "#777777"

MODEL_COLOURS = {
    "smollm2-135m": "#0072B2",
    "pythia-160m": "#E69F00",
    "pythia-410m": "#D55E00",
    "pythia-1.4b": "#A6340B",
    "llama-3.2-1b": "#56B4E9",
    "llama-3.2-3b": "#009E73",
    "llama-3.1-8b": "#005C42",
}

STYLE = {
    "figure.figsize": (5.6, 3.6),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "font.size": 11,
    "axes.titlesize": 11,
    "svg.hashsalt": "reproducer",
}


def figure(n_columns: int = 1, n_rows: int = 1, **options) -> tuple[Figure, Axes]:
    """`plt.subplots` in the house style, as wide for two columns as for one."""
    # Imported late: tables and verdicts do without.
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        width, height = STYLE["figure.figsize"]
        width = width if n_columns <= 2 else 2.8 * n_columns
        options.setdefault("figsize", (width, height * n_rows))
        drawn, axes = plt.subplots(n_rows, n_columns, **options)
    # Closed for pyplot, so that a notebook draws it once: where the cell returns it.
    plt.close(drawn)
    return drawn, axes


def panels(n: int, height: float = 2.8, **options) -> tuple[Figure, list[Axes]]:
    """At least one panel, two to a row, each of that height in inches."""
    n, columns = max(n, 1), min(max(n, 1), 2)
    n_rows = -(-n // columns)
    size = (STYLE["figure.figsize"][0], height * n_rows + 0.6)
    drawn, axes = figure(columns, n_rows, squeeze=False, figsize=size, **options)
    for axis in axes.flat[n:]:
        axis.remove()
    return drawn, list(axes.flat[:n])


def nothing(why: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    drawn, axis = figure(figsize=(5.6, 1.2))
    axis.text(0.5, 0.5, why, ha="center", va="center", transform=axis.transAxes)
    axis.set_axis_off()
    return drawn


def line_styles(names: Iterable[str]) -> dict[str, dict]:
    """A distinct colour, marker and dash for each name, in order."""
    return {
        name: {"color": PALETTE[i % 7], "marker": MARKERS[i % 7], "linestyle": DASHES[i % 7]}
        for i, name in enumerate(names)
    }


def model_colours(models: Iterable[str]) -> dict[str, str]:
    """The colour of each model, on every page the same; grey for one that has none."""
    return {model: MODEL_COLOURS.get(model, GREY) for model in models}


def mean_band(axis: Axes, groups: SeriesGroupBy, style: dict) -> None:
    """Mean of each group against its key, with a band of one standard error."""
    mean, error = groups.mean(), groups.sem().fillna(0)
    axis.plot(mean.index, mean, **style)
    band = {"color": style["color"], "alpha": 0.12, "lw": 0}
    axis.fill_between(mean.index, mean - error, mean + error, **band)


def by_length(
    df: pd.DataFrame, value: str, arrangements: Iterable[str], label: str, **options
) -> tuple[Figure, Axes]:
    """Mean over texts of a share against N, a line for each arrangement ± one standard error."""
    drawn, axis = figure(**options)
    for name, style in line_styles(arrangements).items():
        groups = df[df["arrangement"] == name].groupby("n_tokens")[value]
        mean_band(axis, groups, style | {"label": name})
    powers_axis(axis, df["n_tokens"])
    axis.set(xlabel="tokens N", ylabel=label, ylim=(-0.03, 1.05))
    return drawn, axis


def not_tested(span: Callable, ours: Iterable[float], theirs: Iterable[float]) -> None:
    """Shade the lengths of a paper beyond our longest, by `axvspan` or `axhspan` of a log axis."""
    ours, theirs = max(ours, default=0), max(theirs)
    if 0 < ours < theirs:
        span(1.25 * ours, 1.25 * theirs, color="#eeeeee", lw=0, zorder=0, label="not tested here")


def paper_marks(
    axis: Axes, x: Any, y: Any, marker: str = "o", color: str = GREY, label: str = ""
) -> None:
    """A paper's values: hollow and muted; with no values, only their entry in the legend."""
    look = {"facecolor": "none", "edgecolor": color, "marker": marker, "alpha": 0.8}
    axis.scatter(x, y, s=36, label=label or None, **look)


def legend(*axes: Axes, ncols: int = 2, **options) -> None:
    """One legend below the figure, of all that `axes` have named, if anything."""
    named = (zip(*axis.get_legend_handles_labels(), strict=True) for axis in axes)
    entries = {label: handle for pairs in named for handle, label in pairs}
    for name in ("model", "source"):  # seaborn's headings
        entries.pop(name, None)
    for axis in axes:
        if axis.get_legend():  # seaborn's own
            axis.get_legend().remove()
    if entries:
        place = {"loc": "outside lower center", "ncols": ncols, "frameon": False}
        axes[0].get_figure().legend(entries.values(), entries, **place | options)


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
