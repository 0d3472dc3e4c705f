"""The command: what it prints, and one clear line and status 2 for bad input."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from reproducer.app.cli import app, main
from reproducer.results.packs import shipped

SENTENCE = "The ferry left the quay an hour late."


def call(*arguments, stdin=None):
    done = CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def complaint(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["reproduce", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


def test_run_status_and_claims(tmp_path):
    before = json.loads(call("status", "--profile", "smoke", "--json"))
    first = next(row for row in before if row["experiment"] == "arrangements")
    assert first["stored"] == 0 and len(first["missing"]) == first["specs"] == 37
    assert "arrangements: 36 rows" in call("run", "arrangements", "--profile", "smoke")
    after = json.loads(call("status", "--profile", "smoke", "--json"))
    first = next(row for row in after if row["experiment"] == "arrangements")
    assert first["stored"] == 37 and first["missing"] == []
    assert "arrangements" in call("status", "--profile", "smoke")
    # Random weights never produce a verdict.
    assert json.loads(call("claims", "--profile", "smoke", "--json")) == []


def test_parameters_override_the_profile():
    arguments = ("-p", "lengths=[2]", "-p", "n_texts=1")
    assert "arrangements: 6 rows" in call("run", "arrangements", "--profile", "smoke", *arguments)


def test_text_as_json_and_from_standard_input():
    options = ("--model", "tiny", "--tokens", "3", "--steps", "30", "--seeds", "2")
    found = json.loads(call("text", "-", *options, "--json", stdin=SENTENCE))
    assert found["model"] == "tiny" and found["n_tokens"] == 3
    assert found["recipe"] == "paper"  # it has no warm start for another
    assert {"accuracy", "reconstructed", "steps", "seconds"} <= found.keys()
    right = sum(a == b for a, b in zip(found["reconstructed"], SENTENCE[:3], strict=False))
    assert found["accuracy"] == pytest.approx(right / 3)


def test_text_marks_wrong_tokens(tmp_path):
    (tmp_path / "text.txt").write_text(SENTENCE)
    options = ("--model", "tiny", "--tokens", "4", "--steps", "1", "--seeds", "1")
    shown = call("text", str(tmp_path / "text.txt"), *options)
    assert "≠" in shown and "of 4 tokens came back" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "arangements"], "did you mean 'arrangements'"),
        (["run", "--profile", "quik"], "did you mean 'quick'"),
        (["run", "arrangements", "-p", "length=[1]"], "did you mean 'lengths'"),
        (["run", "arrangements", "-p", "lengths"], "expected NAME=VALUE"),
        (["run", "arrangements", "-p", "n_texts=0"], "greater than or equal to 1, got 0"),
        (["run", "arrangements", "-p", "lengths=[]"], "at least 1 item"),
        (["run", "arrangements", "-p", "model=smollm3"], "did you mean 'smollm2-135m'"),
        (["run", "arrangements", "-p", "recipe=papr", "-p", "model=tiny"], "did you mean 'paper'"),
        (["book", "--profile", "nope"], "unknown profile 'nope'"),
        (["text", "/nowhere/text.txt"], "cannot read '/nowhere/text.txt'"),
        (["text", "FILE", "--tokens", "0"], "expected tokens of at least 1, got 0"),
        (["text", "FILE", "--steps", "0"], "expected steps of at least 1, got 0"),
        (["text", "FILE", "--tokens", "99", "--model", "tiny"], "99 or more tokens, got 37"),
        (["text", "FILE", "--tokens", "256", "--model", "tiny"], "at most its 256 positions"),
        (["text", "FILE", "--arrangement", "[e]"], "unknown arrangement '[e]'"),
        (["text", "FILE", "--model", "FOLDER"], "no config.json"),
    ],
)
def test_bad_input(arguments, message, capsys, monkeypatch, tmp_path):
    (tmp_path / "text.txt").write_text(SENTENCE)
    places = {"FILE": str(tmp_path / "text.txt"), "FOLDER": str(tmp_path)}
    words = [places.get(word, word) for word in arguments]
    assert message in complaint(capsys, monkeypatch, *words)


def test_unwritable_store(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "file" / "store"))
    line = complaint(capsys, monkeypatch, "run", "arrangements", "--profile", "smoke")
    assert "set REPRODUCER_STORE to a writable folder" in line


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "reproducer", "run", "nothing"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "unknown experiment 'nothing'" in done.stderr


def test_packs_of_another_profile_stand_beside_the_shipped_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRODUCER_SHIPPED", str(tmp_path / "packs"))
    shipped.cache_clear()
    try:
        call("run", "arrangements", "--profile", "smoke", "-p", "n_texts=1")
        call("pack", "arrangements", "--profile", "smoke")
        packed = sorted(path.name for path in (tmp_path / "packs").iterdir())
        assert packed == ["arrangements-smoke.parquet", "arrangements-smoke.safetensors"]
        # One of the profile's two texts, and the reading of the positions.
        assert len(shipped()) == 36 // 2 + 1
    finally:
        shipped.cache_clear()
