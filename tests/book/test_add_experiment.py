"""The example of the page on adding an experiment, followed in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys

from reproducer.paths import ROOT


def test_the_example_runs_as_it_stands_on_the_page(tmp_path):
    page = (ROOT / "book" / "add_experiment.md").read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shutil.copytree(ROOT / "reproducer", tmp_path / "reproducer")
    for name in ("data", "profiles", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    experiments = tmp_path / "reproducer" / "experiments"
    (experiments / "starts.py").write_text(module, encoding="utf-8")
    listed = (
        (experiments / "__init__.py")
        .read_text()
        .replace('    "precision",\n', '    "precision",\n    "starts",\n')
    )
    (experiments / "__init__.py").write_text(listed)
    command = re.search(r"\$ reproduce (run starts --profile smoke)", page)[1].split()
    done = subprocess.run(
        [sys.executable, "-m", "reproducer", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "starts: 4 rows" in done.stdout
