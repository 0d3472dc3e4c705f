"""Links to pages that a book of some experiments lacks are text; those to no page are faults."""

import subprocess
import sys

from reproducer.paths import ROOT

CONFIG = """extensions = ['myst_nb', 'reproducer.app.partial_book']
nb_execution_mode = 'off'
root_doc = 'prose'
"""
PROSE = """# Prose

As {doc}`executed/precision` says, or {doc}`this page <executed/noise>`; see {doc}`executed/here`.

Wrong: {doc}`executed/nowhere`, {doc}`precision`, {ref}`executed/precision`.
"""


def test_a_link_to_a_page_left_out_is_its_title_and_one_to_no_page_a_fault(tmp_path):
    (tmp_path / "executed").mkdir()
    (tmp_path / "conf.py").write_text(CONFIG)
    (tmp_path / "executed" / "here.md").write_text("---\norphan: true\n---\n# Here\n")
    (tmp_path / "prose.md").write_text(PROSE)
    command = [sys.executable, "-m", "sphinx", "-q", "-n", tmp_path, tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    html = (tmp_path / "html" / "prose.html").read_text()
    assert "<span>Precision: does bfloat16 cost accuracy?</span> says" in html
    assert "<span>this page</span>;" in html and "precision.html" not in html
    assert 'href="executed/here.html"' in html
    faults = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert len(faults) == 3 and all("prose.md:5" in line for line in faults), done.stderr
