"""An executed notebook made ready for the book: links to pages and files, its code in one fold."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Collection
from pathlib import Path

import nbformat

from reproducer.paths import ROOT, shipped_dir

FOOTER = "page-footer"  # the tag of the cell before which a page's code is folded
FILES = "files"  # the folder of a built book with notebooks, modules and results to download
TO_PAGE = re.compile(r"\[([^\]]+)\]\((\w+)\.ipynb\)")
TO_PAGE_HTML = re.compile(r'<a href="(\w+)\.ipynb">(.*?)</a>')
TO_FILE_HTML = re.compile(r'<a download href="[\w./]*?([\w.-]+)">')
DATA_HTML = re.compile(r'<a download="([\w.-]+)" href="data:text/csv;base64,([\w+/=]*)">')


def prepare(path: Path, pages: Collection[str], files: Path) -> None:
    """Rewrite the executed notebook at `path` for a book that has the notebooks `pages`.

    Links are written so that they work in JupyterLab. In the book they lead to the built pages; one
    to a page that is not in this book becomes its text. Data that a link holds is written to the
    folder `files`.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _page_links(cell.source, pages)
        for output in cell.get("outputs", ()):
            _rewrite(output.get("data", {}), pages, files)
    if any(FOOTER in _tags(cell) for cell in notebook.cells):
        _fold_code(notebook)
    for cell in notebook.cells:
        if "injected-parameters" in _tags(cell):
            cell.metadata.tags = [*_tags(cell), "remove-cell"]
    nbformat.write(notebook, path)


def copy_files(target: Path, pages: Collection[str]) -> None:
    """Copy what the footers of `pages` offer to download."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in pages:
        for source in (
            ROOT / "notebooks" / f"{name}.ipynb",
            ROOT / "reproducer" / "experiments" / f"{name}.py",
            shipped_dir() / f"{name}.parquet",
        ):
            if source.exists():
                shutil.copy(source, target)


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _page_links(text: str, pages: Collection[str]) -> str:
    text = text.replace("](../book/", "](../")
    return TO_PAGE.sub(lambda link: link[0] if link[2] in pages else link[1], text)


def _rewrite(data: dict[str, str], pages: Collection[str], files: Path) -> None:
    if "text/html" in data:
        for name, rows in DATA_HTML.findall(data["text/html"]):
            (files / name).write_bytes(base64.b64decode(rows))
        html = DATA_HTML.sub(r'<a download href="\1">', data["text/html"])
        html = TO_FILE_HTML.sub(rf'<a download href="../{FILES}/\1">', html)
        data["text/html"] = TO_PAGE_HTML.sub(
            lambda a: f'<a href="{a[1]}.html">{a[2]}</a>' if a[1] in pages else a[2], html
        )
    if "text/markdown" in data:
        data["text/markdown"] = _page_links(data["text/markdown"], pages)


def _fold_code(notebook: nbformat.NotebookNode) -> None:
    """Take the code away from where it ran and put all of it in one fold before the footer."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [cell.source for cell in code if FOOTER not in _tags(cell)]
    for cell in code:
        cell.metadata.tags = [*_tags(cell), "remove-input"]
    source = "\n\n".join(shown)
    fold = f"````{{dropdown}} The code of this page\n```python\n{source}\n```\n````"
    at = next(i for i, cell in enumerate(notebook.cells) if FOOTER in _tags(cell))
    notebook.cells.insert(at, nbformat.v4.new_markdown_cell(fold))
