"""A small book, built once for all tests that look at pages."""

import shutil
from pathlib import Path

import pytest
from jupyter_client.connect import LocalPortCache

from reproducer.app.book import build_book
from reproducer.paths import ROOT

# The first is A1; the others have tables and figures of other kinds; A9 has the word Bézier.
PAGES = ["arrangements", "connectivity", "cost", "learned", "playground"]


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of some experiments under the smoke profile, built outside the working tree.

    All notebooks are run one by one in test_notebooks.py, and `make book` builds all pages.
    """
    folder = tmp_path_factory.mktemp("book")
    made_here = shutil.ignore_patterns("_build", "_extra", "executed")
    shutil.copytree(ROOT / "book", folder / "book", ignore=made_here)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPRODUCER_STORE", str(folder / "results"))
        patch.setattr(LocalPortCache, "find_available_port", _no_port)
        first_page = build_book("smoke", PAGES, book=folder / "book")
    assert first_page.is_file()
    return first_page.parent


def _no_port(*arguments):
    raise AssertionError("a kernel of the book asked for a TCP port, which others may take")
