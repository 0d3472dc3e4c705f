"""The book: clean notebooks, and a small book that is built, whole and in need of nothing."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pandas as pd
import pytest
import yaml

from reproducer.app import book as book_module
from reproducer.app.book import build_book, notebooks_in
from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.profiles import SHIPPED
from reproducer.paths import ROOT
from tests.book.conftest import PAGES

# One worker makes what the tests of this file share.
pytestmark = pytest.mark.xdist_group("book")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())


def test_every_notebook_is_a_page():
    pages = {*notebooks_in(TOC), TOC["root"].removeprefix("executed/")}
    assert pages == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_has_a_kernel_and_no_traces_of_a_run(self, path: Path):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"
        assert "papermill" not in notebook.metadata
        for cell in notebook.cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
            assert not {"papermill", "execution"} & cell.metadata.keys()

    def test_has_one_parameters_cell_that_begins_with_the_profile(self, path: Path):
        cells = nbformat.read(path, as_version=4).cells
        tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", ())]
        assert len(tagged) == 1
        assert tagged[0].source.startswith(f'profile = "{SHIPPED}"')

    def test_is_thin(self, path: Path):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code":
                continue
            assert len(cell.source.splitlines()) <= 15
            assert "chdir" not in cell.source
            assert not cell.source.lstrip().startswith(("%", "!"))
            for node in ast.walk(ast.parse(cell.source)):
                assert not isinstance(node, ast.FunctionDef | ast.ClassDef)
                if isinstance(node, ast.ImportFrom):
                    assert not any(alias.name.startswith("_") for alias in node.names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_text_is_readable_in_jupyterlab(path: Path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\{(?:cite|doc|ref|eq|numref)", cell.source)
            for link in re.findall(r"\]\(([\w./]+)\)", cell.source):
                built = link.startswith("../book/_build")
                assert built or (path.parent / link).exists(), link


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_cell_says_what_it_shows(path: Path):
    for cell in nbformat.read(path, as_version=4).cells:
        if re.search(r"\bfigure\(|_figure\(", cell.source) and cell.cell_type == "code":
            assert cell.metadata["mystnb"]["image"]["alt"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_data_is_linked_beneath_the_first_figure(name: str):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    figure = next(i for i, source in enumerate(code) if "experiment.figure(" in source)
    assert code[figure + 1] == "page.data(params, df)"


class _Page(HTMLParser):
    """What a page loads (`loads`), where it leads (`links`), its pictures and its anchors."""

    def __init__(self, path: Path):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in {"script", "img", "iframe", "source", "embed"} and "src" in values:
            self.loads.append(values["src"])
        if tag == "link" and "href" in values:
            self.loads.append(values["href"])
        if tag == "img":
            self.pictures.append(values)


def _pages(html: Path) -> dict[Path, _Page]:
    """The pages of the book by path; what lies under _static are templates and assets."""
    paths = [path for path in html.rglob("*.html") if "_static" not in path.parts]
    return {path: _Page(path) for path in paths}


def test_the_book_has_all_pages(html: Path):
    prose = ["method", "execute", "bibliography"]
    for file in [TOC["root"], *prose, *(f"executed/{name}" for name in PAGES)]:
        assert (html / f"{file}.html").is_file()


def test_pages_load_nothing_from_elsewhere(html: Path):
    for path, page in _pages(html).items():
        for address in page.loads:
            parts = urlsplit(address)
            assert parts.scheme in {"", "data"} and not parts.netloc, f"{path.name}: {address}"
            if not parts.scheme:
                assert (path.parent / unquote(parts.path)).exists(), f"{path.name}: {address}"
    for path in html.rglob("*.css"):
        remote = re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\s]*", path.read_text())
        assert not remote, f"{path.name}: {remote}"


def test_links_between_pages_lead_somewhere(html: Path):
    pages = {path.resolve(): page for path, page in _pages(html).items()}
    for path, page in pages.items():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {address}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.name}: {address}"


def test_pages_offer_their_rows_as_csv(html: Path):
    for name in {*PAGES} & {*EXPERIMENTS}:
        assert f"../files/{name}.csv" in _Page(html / "executed" / f"{name}.html").links
        rows = pd.read_csv(html / "files" / f"{name}.csv")
        assert len(rows) and set(rows["profile"]) == {"smoke"}


def test_every_picture_is_described(html: Path):
    for path, page in _pages(html).items():
        for picture in page.pictures:
            described = picture.get("alt", "")
            remedy = 'say what it shows in the cell\'s metadata: "mystnb": {"image": {"alt": …}}'
            assert described and "_images/" not in described, f"{path.name}: {remedy}"


def test_smoke_gives_no_verdict(html: Path):
    landing = (html / f"{TOC['root']}.html").read_text()
    assert not re.search(r'<td[^>]*class="[^"]*\b(reproduced|partly|not-reproduced)\b', landing)


def _broken_project(folder: Path, source: str) -> Path:
    """A project with one experiment whose notebook holds `source`; returns its book folder."""
    cell = nbformat.v4.new_code_cell('profile = "quick"', metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [cell, nbformat.v4.new_code_cell(source)]
    (folder / "notebooks").mkdir()
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, folder / "notebooks" / "sad.ipynb")
    (folder / "book").mkdir()
    toc = {"root": "executed/index", "parts": [{"chapters": [{"file": "executed/sad"}]}]}
    (folder / "book" / "_toc.yml").write_text(yaml.safe_dump(toc))
    return folder / "book"


def test_a_failing_notebook_is_named_with_its_error(tmp_path: Path, monkeypatch):
    book = _broken_project(tmp_path, 'raise RuntimeError("no such luck")')
    monkeypatch.setattr(book_module, "ROOT", tmp_path)
    with pytest.raises(ReproducerError, match=r"notebook sad failed in cell .*no such luck"):
        build_book("smoke", book=book)


def test_a_kernel_that_dies_is_reported(tmp_path: Path, monkeypatch):
    book = _broken_project(tmp_path, "import os; os._exit(9)")
    monkeypatch.setattr(book_module, "ROOT", tmp_path)
    with pytest.raises(ReproducerError, match="notebook sad was stopped"):
        build_book("smoke", book=book)


def test_notebooks_get_a_profile_of_the_users_by_its_whole_path(tmp_path: Path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("common: {model: tiny}")
    monkeypatch.chdir(tmp_path)
    assert book_module._for_notebooks("mine.yaml") == str(tmp_path / "mine.yaml")
    assert book_module._for_notebooks("profiles/smoke.yaml") == "smoke"


def test_unknown_names_are_refused_before_anything_runs(tmp_path: Path):
    with pytest.raises(ReproducerError, match="profile 'quikc'.*quick"):
        build_book("quikc", book=tmp_path)
    book = _broken_project(tmp_path, "")
    with pytest.raises(ReproducerError, match="experiment 'sat'.*sad"):
        build_book("smoke", ["sat"], book=book)
    assert not (book / "executed").exists()
