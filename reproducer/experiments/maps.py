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

MIN_VECTORS = 4
REST = {"color": "#cccccc", "s": 10, "zorder": 1, "linewidth": 0}


def map_figure(
    frame: pd.DataFrame, classes: str, tokens: tuple[str, ...] = ("e", "m"), links: bool = False
) -> Figure:
    """Maps of the `tokens` of a frame; a class of column `classes` has a colour and a marker.

    Only so many classes are told apart as there are colours, the largest; the rest is grey. With
    `links` the members of a class are tied to their centre.
    """
    if len(frame) < MIN_VECTORS:
        return plots.nothing(f"fewer than {MIN_VECTORS} solved texts to map")
    drawn, axes = plots.figure(len(tokens), figsize=(5 * len(tokens), 4.6), squeeze=False)
    names = frame[classes]
    largest = names.groupby(names, sort=False).size().sort_values(ascending=False, kind="stable")
    styles = plots.line_styles(largest.index[: len(plots.PALETTE)])
    for axis, token in zip(axes[0], tokens, strict=True):
        places = pd.DataFrame(tsne_map(stacked(frame, token)), columns=["x", "y"])
        _draw(axis, places.groupby(names.to_numpy(), sort=False), styles, links)
        axis.set(title=f"t-SNE of {token}", xticks=[], yticks=[])
        axis.grid(False)
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def _draw(axis: Axes, groups: pd.api.typing.DataFrameGroupBy, styles: dict, links: bool) -> None:
    rest = True
    for name, members in groups:
        if name not in styles:
            axis.scatter(members["x"], members["y"], **REST, label="others" if rest else None)
            rest = False
            continue
        look = {"color": styles[name]["color"], "zorder": 2}
        if links:
            centre = members.mean()
            for point in members.itertuples():
                axis.plot([centre["x"], point.x], [centre["y"], point.y], lw=0.8, **look)
        look |= {"marker": styles[name]["marker"], "s": 34, "edgecolor": "white", "linewidth": 0.5}
        axis.scatter(members["x"], members["y"], label=str(name), **look)
