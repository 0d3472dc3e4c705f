"""Executed notebooks made ready for the book."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from reproducer.app import page
from reproducer.app.prepare import prepare
from reproducer.experiments.profiles import load_params

CODE, TEXT = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
LINKS = '<a href="here.ipynb">A</a> <a href="gone.ipynb">B</a>'
FILE = '<a download href="../reproducer/experiments/here.py">module</a>'

DF = pd.DataFrame(
    {
        "text": ["é, a", "b"],
        "accuracy": [0.1 + 0.2, np.nan],
        "curve": [np.zeros(3), np.ones(3)],
        "layers": [(1, 2), None],
        "n": [1, 2],
    }
)


@pytest.fixture
def prepared(tmp_path: Path) -> list:
    output = nbformat.v4.new_output("display_data", {"text/html": f"{LINKS} {FILE}"})
    data = page.data(load_params("noise", "smoke"), DF).data
    linked = nbformat.v4.new_output("display_data", {"text/html": data})
    cells = [
        TEXT("[A](here.ipynb), [B](gone.ipynb), [C](../book/method.md)"),
        CODE("x = 1", metadata={"tags": ["parameters"]}),
        CODE("x = 2", metadata={"tags": ["injected-parameters"]}),
        CODE("x", outputs=[output, linked]),
        CODE("footer", metadata={"tags": ["page-footer"]}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "here.ipynb")
    (tmp_path / "files").mkdir()
    prepare(tmp_path / "here.ipynb", ["here"], tmp_path / "files")
    return nbformat.read(tmp_path / "here.ipynb", as_version=4).cells


def test_links_lead_to_pages_of_this_book(prepared: list):
    assert prepared[0].source == "[A](here.ipynb), B, [C](../method.md)"
    html = prepared[3].outputs[0].data["text/html"]
    file = '<a download href="../files/here.py">module</a>'
    assert html == f'<a href="here.html">A</a> B {file}'


def test_the_code_as_it_ran_is_in_one_fold_before_the_footer(prepared: list):
    *shown, fold, footer = prepared
    assert "```python\nx = 1\n\nx = 2\n\nx\n```" in fold.source
    assert footer.source == "footer"
    assert all("remove-input" in cell.metadata.tags for cell in shown[1:])
    assert "remove-cell" in shown[2].metadata.tags


def test_the_data_of_a_page_is_a_file_without_columns_of_arrays(prepared: list, tmp_path: Path):
    html = prepared[3].outputs[1].data["text/html"]
    assert '<a download href="../files/noise.csv">Data of this page (CSV)</a>' in html
    read = pd.read_csv(tmp_path / "files" / "noise.csv")
    pd.testing.assert_frame_equal(read, DF[["text", "accuracy", "n"]])


def test_a_page_without_rows_has_empty_data():
    assert "Data of this page" in page.data(load_params("noise", "smoke"), pd.DataFrame()).data
