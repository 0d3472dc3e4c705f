"""Opening and running notebooks in JupyterLab leaves nothing for git to see."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from reproducer.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What JupyterLab 4.6 puts into a notebook's metadata when its kernel has started.
KERNEL = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
    "version": "3.13.1",
}


def as_jupyterlab_leaves_it(path: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["language_info"] = KERNEL
    for count, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        cell.execution_count = count + 1
        cell.outputs = [nbformat.v4.new_output("stream", text="Ω\n")]
        cell.metadata["scrolled"] = True
    return nbformat.writes(notebook) + "\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_written_as_jupyterlab_writes(path: Path):
    """One space of indent, no escapes, sorted keys, the identifiers and the version of today."""
    notebook = nbformat.read(path, as_version=4)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.display_name == "Python 3 (ipykernel)"


def test_git_sees_no_change_after_a_run(tmp_path: Path):
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    clean = re.search(
        r"^CLEAN *:= \$\(BIN\)/nbstripout (.*)$", (ROOT / "Makefile").read_text(), re.M
    )
    git("init", "--quiet")
    git("config", "filter.notebooks.clean", f"{sys.executable} -m nbstripout {clean[1]}")
    (tmp_path / ".gitattributes").write_text((ROOT / ".gitattributes").read_text())
    for name in ("index", "arrangements", "playground"):
        path = tmp_path / f"{name}.ipynb"
        path.write_text((ROOT / "notebooks" / path.name).read_text(encoding="utf-8"))
        git("add", path.name)
        path.write_text(as_jupyterlab_leaves_it(path))
    assert git("diff") == ""
    path.write_text(path.read_text().replace("The ferry", "The train"))
    assert "The train" in git("diff")
