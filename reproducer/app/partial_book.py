"""A Sphinx extension: links of prose to pages that a book of some experiments does not have.

The prose is written for the whole book. In a smaller one such a link becomes the title of the page,
as links of notebooks do (`reproducer.app.prepare`); one to a page that no book has stays a fault.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

from reproducer.paths import ROOT

if TYPE_CHECKING:
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

FOLDER = "executed"  # of a book's notebooks


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("missing-reference", page_left_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def page_left_out(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """What stands for a link to a notebook's page that is not in this book; else None."""
    target = Path(node["reftarget"].lstrip("/"))
    notebook = ROOT / "notebooks" / f"{target.name}.ipynb"
    if node.get("reftype") != "doc" or target.parent.name != FOLDER or not notebook.exists():
        return None
    words = text.astext() if node.get("refexplicit") else _title(notebook)
    return nodes.inline(words, words)


def _title(notebook: Path) -> str:
    """The heading that a notebook begins with."""
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
    return "".join(first).splitlines()[0].lstrip("# ")
