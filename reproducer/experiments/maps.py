"""t-SNE maps of proto-tokens, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from reproducer.analysis.clusters import tsne_map
from reproducer.experiments import plots
from reproducer.results.vectors import stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_LEGEND = 10


def map_figure(
    frame: pd.DataFrame,
    classes: str,
    shapes: str | None = None,
    tokens: tuple[str, ...] = ("e", "m"),
) -> Figure:
    """Maps of the `tokens` of a frame, by the class in column `classes`.

    A class has a colour and its members are tied to their centre, which greyscale keeps;
    `shapes` names a column that is shown as the marker (None: the class).
    """
    drawn, axes = plots.figure(len(tokens), figsize=(5 * len(tokens), 4.6), squeeze=False)
    for axis, token in zip(axes[0], tokens, strict=True):
        _draw(axis, frame, tsne_map(stacked(frame, token)), classes, shapes or classes)
        axis.set(title=f"t-SNE of {token}", xticks=[], yticks=[])
        axis.grid(False)
    _legend(axes[0, -1], frame, classes, shapes)
    return drawn


def _draw(axis: Axes, frame: pd.DataFrame, places, classes: str, shapes: str) -> None:
    colours, markers = _colours(frame[classes]), _markers(frame[shapes])
    placed = frame[[classes]].assign(x=places[:, 0], y=places[:, 1], shape=frame[shapes])
    for name, members in placed.groupby(classes, sort=False):
        centre = members["x"].mean(), members["y"].mean()
        for point in members.itertuples():
            line = {"color": colours[name], "lw": 0.6, "alpha": 0.6, "zorder": 1}
            axis.plot([centre[0], point.x], [centre[1], point.y], **line)
            look = {"color": colours[name], "marker": markers[point.shape], "s": 22}
            axis.scatter(point.x, point.y, edgecolor="white", linewidth=0.4, **look)


def _colours(values: pd.Series) -> dict:
    return {name: plots.PALETTE[i % 7] for i, name in enumerate(values.unique())}


def _markers(values: pd.Series) -> dict:
    return {name: plots.MARKERS[i % 7] for i, name in enumerate(values.unique())}


def _legend(axis: Axes, frame: pd.DataFrame, classes: str, shapes: str | None) -> None:
    """Names of the markers, and of the classes if they are few."""
    # Imported late: tables and verdicts do without.
    from matplotlib.lines import Line2D

    handles = []
    if frame[classes].nunique() <= MAX_LEGEND:
        markers = _markers(frame[classes]) if shapes is None else {}
        handles += [
            Line2D([], [], color=colour, marker=markers.get(name), label=name)
            for name, colour in _colours(frame[classes]).items()
        ]
    if shapes is not None:
        handles += [
            Line2D([], [], color="grey", marker=marker, linestyle="", label=name)
            for name, marker in _markers(frame[shapes]).items()
        ]
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
