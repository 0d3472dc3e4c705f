"""A slider along the paths between solutions: accuracy at each t, for all texts or for one."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from reproducer.experiments.connectivity import PATHS

ALL = "all texts, mean"
# As in the book's style; the second value serves where that is not loaded, in JupyterLab.
COLOURS = {"straight": "var(--book-m, #0072b2)", "curved": "var(--book-e, #d55e00)"}
DASHES = {"straight": "none", "curved": "7 3"}
LEFT, TOP, WIDTH, HEIGHT = 30, 8, 320, 140  # of the plot, in the SVG's own units


def along(df: pd.DataFrame) -> HTML:
    """A plot of A9's rows whose mark follows a slider, and what is right at the mark, in words.

    Everything is in the page: the numbers as JSON, and the script. Without JavaScript the whole is
    hidden, and the page's figure, which shows the means, stands alone.
    """
    if df.empty:
        return HTML("<p>No path is stored.</p>")
    found = accuracies(df)
    options = "".join(f"<option>{escape(name)}</option>" for name in found["accuracy"])
    numbers = json.dumps(found).replace("<", "\\u003c")  # no text may end the script element
    script = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    return HTML(
        '<div class="walk" hidden>'
        f'<label>Solutions of <select name="text">{options}</select></label>'
        '<label>Position t on the path <input type="range" name="t" min="0" '
        f'max="{len(found["t"]) - 1}" step="1" value="0"></label>{_plot()}'
        '<div role="status"><p>Share of tokens right at t = <span data-t></span></p>'
        f'{"".join(map(_line, PATHS))}</div>'
        f'<script type="application/json">{numbers}</script><script>{script}</script></div>'
        "<noscript><p>The slider needs JavaScript; the figure above shows the means.</p></noscript>"
    )


def accuracies(df: pd.DataFrame) -> dict:
    """`t`, and under `accuracy` for each choice and kind of path one number for each t.

    A text's are means over its pairs of solutions, and those of all are means over texts.
    """
    by_text = df.groupby(["text", "path", "t"])["accuracy"].mean()
    choices = {ALL: by_text.groupby(level=["path", "t"]).mean()}
    choices |= {text: by_text.xs(text) for text in by_text.index.unique("text")}
    return {
        "t": [round(t, 4) for t in sorted(df["t"].unique().tolist())],
        "accuracy": {
            name: {path: [round(x, 4) for x in values.xs(path)] for path in PATHS}
            for name, values in choices.items()
        },
    }


def _line(path: str) -> str:
    """A row of the legend, with a place for what is right at the mark."""
    stroke = f'<path d="M1 4h32" {_look(path)}/>'
    sample = f'<svg width="34" height="8" aria-hidden="true">{stroke}</svg>'
    return f'<p>{sample} {PATHS[path]}: <strong data-path="{path}"></strong></p>'


def _plot() -> str:
    """Axes, an empty line and mark for each kind of path, and the upright that the slider moves."""
    ticks = "".join(
        f'<text x="{LEFT - 5}" y="{TOP + HEIGHT * (1 - x) + 4:g}" text-anchor="end">{x:g}</text>'
        f'<text x="{LEFT + WIDTH * x:g}" y="{TOP + HEIGHT + 15}" text-anchor="middle">{x:g}</text>'
        for x in (0, 0.5, 1)
    )
    lines = "".join(
        f'<polyline data-path="{path}" {_look(path)}/>'
        f'<circle data-path="{path}" r="5" style="fill:{COLOURS[path]}"/>'
        for path in PATHS
    )
    return (
        f'<svg viewBox="0 0 {LEFT + WIDTH + 10} {TOP + HEIGHT + 20}" role="img" '
        'style="font-size:12px" aria-label="Share of tokens right along the paths, with a mark '
        f'where the slider stands" data-box="{LEFT} {TOP} {WIDTH} {HEIGHT}">'
        f'<g fill="currentColor">{ticks}</g><path d="M{LEFT} {TOP}v{HEIGHT}h{WIDTH}" fill="none" '
        f'stroke="currentColor"/><line y1="{TOP}" y2="{TOP + HEIGHT}" stroke="currentColor" '
        f'stroke-dasharray="2 3"/>{lines}</svg>'
    )


def _look(path: str) -> str:
    style = f"stroke:{COLOURS[path]};stroke-width:2;stroke-dasharray:{DASHES[path]}"
    return f'fill="none" style="{style}"'
