"""The gallery shows each experiment's figure as its executed notebook has it."""

import base64
from pathlib import Path

import nbformat
import pytest

from reproducer.app.gallery import picture_of, write_gallery
from reproducer.experiments import EXPERIMENTS
from reproducer.paths import ROOT

CODE, TEXT, OUTPUT = (
    nbformat.v4.new_code_cell,
    nbformat.v4.new_markdown_cell,
    nbformat.v4.new_output,
)


def executed(path: Path, source: str = "experiment.figure(df)") -> Path:
    """A notebook at `path` whose second picture is that of its experiment."""
    other, ours = (
        OUTPUT("display_data", {"image/png": base64.b64encode(png).decode()})
        for png in (b"other", b"ours")
    )
    described = {"mystnb": {"image": {"alt": "A line: rising."}}}
    cells = [
        TEXT("# A0: Does it work?\n\nProse."),
        CODE("look_first(df)", outputs=[other]),
        CODE(source, outputs=[ours], metadata=described),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_picture_has_the_question_and_the_words_of_its_page(tmp_path: Path):
    found = picture_of(executed(tmp_path / "a.ipynb"))
    assert found == ("A0: Does it work?", "A line: rising.", b"ours")
    assert picture_of(executed(tmp_path / "b.ipynb", "page.table(df)")) is None


def test_a_card_for_each_experiment_that_has_a_figure(tmp_path: Path):
    folder = tmp_path / "executed"
    folder.mkdir()
    executed(folder / "a.ipynb")
    executed(folder / "b.ipynb", "page.table(df)")
    page = write_gallery(folder, ["a", "b"]).read_text()
    assert page.count("grid-item-card") == 1 and ":link: /executed/a\n" in page
    assert ":img-alt: A line: rising.\n" in page
    assert (folder / "gallery" / "a.png").read_bytes() == b"ours"
    assert "No page" in write_gallery(folder, []).read_text()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_title_of_every_experiment_is_its_question(name: str):
    first = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells[0].source
    assert first.splitlines()[0].endswith("?")
