"""Every path and every command that README names exists."""

import re

from reproducer.app import readme_figure
from reproducer.app.cli import app
from reproducer.experiments import EXPERIMENTS
from reproducer.paths import ROOT

README = (ROOT / "README.md").read_text()


def test_paths_exist():
    named = re.findall(r"`((?:\w+/)+[\w.]*|[\w.]+\.(?:py|yml|cff))`", README)
    named += re.findall(r"\]\(([\w/.]+)\)", README)
    core = {p.name: p for p in (ROOT / "reproducer").rglob("*.py")}
    assert len(named) > 20
    for path in named:
        found = (ROOT / path).exists() or (ROOT / "reproducer" / path).exists() or path in core
        assert found, path


def test_commands_exist():
    commands = {c.name or c.callback.__name__ for c in app.registered_commands}
    named = set(re.findall(r"^`(\w[\w-]*)`|(?<=[,:] )`([a-z-]+)`", README, re.MULTILINE))
    words = {word for pair in named for word in pair if word}
    assert {"run", "status", "claims", "book", "bench"} <= commands
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words & commands
    for command in re.findall(r"\.venv/bin/reproduce (\w+)", README):
        assert command in commands


def test_every_experiment_is_in_the_table():
    for name in EXPERIMENTS:
        assert f"notebooks/{name}.ipynb" in README


def test_the_figure_and_its_caption_are_of_the_shipped_results():
    assert readme_figure.caption() in " ".join(README.split())
    remedy = "python -m reproducer.app.readme_figure draws it anew"
    assert readme_figure.source().encode() in readme_figure.FILE.read_bytes(), remedy


def test_no_placeholder_is_left():
    assert "@@" not in README


def test_what_was_not_run_names_what_there_is():
    """The page's tests exist, and every experiment of the hub's profile is asked for or excused."""
    page = (ROOT / "book" / "not_run.md").read_text()
    tests = re.findall(r"`(tests/[\w/.]+|notebooks/[\w.]+)`", page)
    assert len(tests) > 10
    for path in tests:
        assert (ROOT / path).exists(), path
    told = {
        word for command in re.findall(r"reproduce run ([\w ]+)", page) for word in command.split()
    }
    told |= set(re.findall(r"`(\w+)`", page))
    assert set(EXPERIMENTS) <= told
    assert not re.findall(r"reproduce (?!run|plan|bench|merge|warm)\w+", page)
