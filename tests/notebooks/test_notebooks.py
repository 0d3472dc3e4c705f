"""Every notebook runs by plain papermill, and its parameters are its experiment's."""

import subprocess
import sys
from collections import defaultdict

import nbformat
import pytest

from reproducer.app import page
from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.experiments.profiles import SHIPPED, load_params
from reproducer.paths import ROOT

NOTEBOOKS = sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb"))
# What a notebook leaves to the profile, beside `model` where it has `models`, and the like.
LEFT_OUT = defaultdict(
    set,
    semantics={"source"},  # the families decide what else can be asked
    # A page has fifteen parameters at most; a profile has all.
    encoder={"sampled_contexts", "design_text_steps", "fitted_at"},
)


def run(name, output, *parameters):
    """Run by plain papermill; once more where its kernel's free port was taken meanwhile."""
    command = [sys.executable, "-m", "papermill", f"{name}.ipynb", str(output), *parameters]
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT / "notebooks", capture_output=True, text=True)
        if "Address already in use" not in done.stderr:
            break
    return done


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_by_plain_papermill(name, tmp_path):
    done = run(name, tmp_path / "out.ipynb", "-p", "profile", "smoke")
    assert done.returncode == 0, done.stderr[-3000:]
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert any(cell.get("outputs") for cell in cells)


def test_a_parameter_overrides_the_profile(tmp_path):
    output = tmp_path / "out.ipynb"
    done = run("arrangements", output, "-p", "profile", "smoke", "-y", "{lengths: [3], n_texts: 1}")
    assert done.returncode == 0, done.stderr[-3000:]
    cells = nbformat.read(output, as_version=4).cells
    shown = "".join(
        o.get("data", {}).get("text/html", "") for c in cells for o in c.get("outputs", [])
    )
    assert "1 texts from unseen, at most 3 tokens" in shown
    assert "-p lengths &#x27;[3]&#x27; " in shown or "-p n_texts &#x27;1&#x27;" in shown


def test_prose_about_the_shipped_run_stands_under_that_run_alone():
    shipped = load_params("noise", SHIPPED)
    assert "shipped run" in page.reading(shipped).data
    assert page.reading(shipped.model_copy(update={"n_texts": 2})) is None
    assert page.reading(load_params("noise", "quick")) is None


def test_an_impossible_parameter_stops_the_notebook(tmp_path):
    done = run(
        "arrangements", tmp_path / "out.ipynb", "-p", "profile", "smoke", "-p", "n_texts", "0"
    )
    assert done.returncode == 1 and "greater than or equal to 1" in done.stderr


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_parameters_are_the_experiment_s(name):
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    (cell,) = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    values = {}
    exec(cell.source, values)
    values.pop("__builtins__")
    params = experiment(name).Params
    fields = set(params.model_fields) - set(params.UNUSED)
    assert set(values) == {field for field in fields if f"{field}s" not in values} - LEFT_OUT[name]
    assert values.pop("profile") == SHIPPED
    assert set(values.values()) == {None}
