"""README's figure: A1's, drawn from the shipped results, with their digest in the file.

`python -m reproducer.app.readme_figure` draws it anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from reproducer.experiments import SHIPPED, arrangements
from reproducer.experiments.arrangements import Params
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import study
from reproducer.paths import ROOT, shipped_dir

FILE = ROOT / "book" / "images" / "accuracy.png"


def caption() -> str:
    """What README says beneath the figure: how many texts, which recipe, how many steps."""
    params = _params()
    return (
        f"{params.n_texts} texts, up to {params.max_steps} steps by the recipe `{params.recipe}` "
        f"(profile `{SHIPPED}`"
    )


def source() -> str:
    """The digest of the shipped results that the figure is drawn from."""
    manifest = json.loads((shipped_dir() / "manifest.json").read_text(encoding="utf-8"))
    return manifest["arrangements.parquet"]


def draw(path: Path = FILE) -> Path:
    """Draw the figure to `path`; the file says from which results."""
    drawn = arrangements.figure(study(_params(), compute=False))
    drawn.savefig(path, dpi=140, bbox_inches="tight", metadata={"Source": source()})
    return path


def _params() -> Params:
    return load_params("arrangements", SHIPPED)


if __name__ == "__main__":
    print(draw())
