"""The gallery: every experiment's figure as a small picture, with its question and its page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import nbformat

FOLDER = "gallery"  # of the pictures, beside the executed notebooks
CALL = "experiment.figure("  # the cell that draws an experiment's figure
CARD = """:::{{grid-item-card}} {question}
:link: /{folder}/{name}
:link-type: doc
:img-top: /{folder}/{pictures}/{name}.png
:img-alt: {alt}
:::
"""


class Picture(NamedTuple):
    """An experiment's figure as its page has it: what it asks, what it shows, the PNG file."""

    question: str
    alt: str
    png: bytes


def write_gallery(executed: Path, experiments: Iterable[str]) -> Path:
    """Write ``gallery.md``, which the book's page includes, and its pictures into `executed`."""
    (executed / FOLDER).mkdir(exist_ok=True)
    cards = []
    for name in experiments:
        if picture := picture_of(executed / f"{name}.ipynb"):
            (executed / FOLDER / f"{name}.png").write_bytes(picture.png)
            said = {"question": picture.question, "alt": picture.alt}
            cards.append(CARD.format(name=name, folder=executed.name, pictures=FOLDER, **said))
    grid = "\n".join(["::::{grid} 1 2 2 3", ":gutter: 3", ":class-container: gallery", "", *cards])
    path = executed / "gallery.md"
    shown = f"{grid}::::\n" if cards else "No page of this book has a figure of an experiment.\n"
    path.write_text(shown, encoding="utf-8")
    return path


def picture_of(path: Path) -> Picture | None:
    """The figure of the executed notebook at `path`; None if it draws no experiment's figure."""
    cells = nbformat.read(path, as_version=4).cells
    drawn = [cell for cell in cells if cell.cell_type == "code" and CALL in cell.source]
    for cell in drawn:
        for output in cell.outputs:
            if png := output.get("data", {}).get("image/png"):
                question = cells[0].source.splitlines()[0].removeprefix("# ")
                return Picture(question, cell.metadata.mystnb.image.alt, base64.b64decode(png))
    return None
