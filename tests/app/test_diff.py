"""Two ledgers, wherever they lie: which verdicts changed, and in what."""

import json
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from reproducer.app import ledgers
from reproducer.app.cli import app
from reproducer.app.diff import Change, diff, told
from reproducer.app.ledgers import ledger_at
from reproducer.errors import ReproducerError
from reproducer.experiments.claims import Verdict, with_holm
from reproducer.paths import data_dir
from reproducer.results.store import Store
from tests.app.ledgers import row, rows

OLD = rows(row("A1.a"), row("A1.b"), row("B1.c", ours=None, low=None, high=None))
SHIPPED = data_dir() / "results" / "ledger-smollm2.json"


def call(*arguments, status):
    done = CliRunner().invoke(app, ["diff", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def files(tmp_path):
    """The old ledger, and one whose first claim has another word, estimate and n."""
    new = OLD | rows(row("A1.a", "inconclusive", ours=0.4, high=0.6, n=24))
    paths = tmp_path / "old.json", tmp_path / "new.json"
    for path, content in zip(paths, (OLD, new), strict=True):
        path.write_text(json.dumps(list(content.values())))
    return paths


def test_nothing_changed():
    assert diff(OLD, OLD) == []
    rounded = rows(row("A1.a", ours=0.1 + 1e-12, p=0.5), row("A1.b"), OLD["B1.c"])
    assert diff(OLD, rounded) == []


def test_another_word_comes_first_with_all_that_differs():
    new = OLD | rows(row("A1.a", n=9), row("A1.b", "contradicted", ours=0.9, profile="evidence"))
    assert diff(OLD, new) == [
        Change(
            "A1.b", "reproduced", "contradicted",
            {"ours": (0.1, 0.9), "profile": ("smollm2", "evidence")},
        ),
        Change("A1.a", "reproduced", "reproduced", {"n": (8, 9)}),
    ]  # fmt: skip


def test_claims_come_and_go_and_numbers_appear():
    new = rows(OLD["A1.a"], row("B1.c"), row("own.d", "holds"))
    changes = {change.id: change for change in diff(OLD, new)}
    assert (changes["A1.b"].before, changes["A1.b"].after) == ("reproduced", None)
    assert (changes["own.d"].before, changes["own.d"].after) == (None, "holds")
    assert changes["B1.c"].why == {f: (None, row("B1.c")[f]) for f in ("ours", "low", "high")}
    lines = list(told(diff(OLD, new), 4))
    assert lines[0].startswith("4 claims: 2 with another word, 1 with the same word")
    assert {"own.d: came, holds", "A1.b: went, was reproduced", "    ours: – → 0.100"} <= {*lines}


def test_the_command_on_files(files):
    assert "3 unchanged" in call(files[0], files[0], status=0)
    shown = call(*files, status=1)
    assert "A1.a: reproduced → inconclusive" in shown and "n: 8 → 24" in shown
    (change,) = json.loads(call(*files, "--json", status=1))
    assert change == {
        "id": "A1.a",
        "before": "reproduced",
        "after": "inconclusive",
        "why": {"ours": [0.1, 0.4], "high": [0.2, 0.6], "n": [8, 24]},
    }


def test_a_shipped_ledger_and_what_claims_prints_are_the_same(tmp_path):
    entries = json.loads(SHIPPED.read_text()).values()
    verdicts = with_holm(Verdict(**fields) for entry in entries for fields in entry["verdicts"])
    printed = tmp_path / "printed.json"
    printed.write_text(json.dumps([v.model_dump() for v in verdicts], indent=1))
    assert any(v.holm for v in verdicts)
    assert call(SHIPPED, printed, "--json", status=0) == "[]\n"


def test_a_shipped_ledger_with_other_fields(tmp_path):
    """As another commit may have shipped it: what both have is compared."""
    verdicts = [{**row("A1.a"), "mark": 1}, row("A1.b", n=9)]
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"arrangements": {"verdicts": verdicts}}))
    new = rows(row("A1.a", holm=True), row("A1.b", holm=False))
    changes = diff(ledger_at(str(old), "smollm2"), new)
    assert changes == [Change("A1.b", "reproduced", "reproduced", {"n": (9, 8)})]


def test_a_store_together_with_what_is_shipped_or_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "reproducer.experiments.ledger.ledger", lambda profile, known: asked.append(known) or []
    )
    with pytest.raises(ReproducerError, match="expected a result store in"):
        ledger_at(str(tmp_path), "smoke")
    Store(tmp_path).require_writable()
    assert call(tmp_path, tmp_path, "--profile", "smoke", "--json", status=0) == "[]\n"
    ledger_at(str(tmp_path), "smoke", alone=True)
    assert [known.store.folder for known in asked] == [tmp_path] * 3
    assert len(asked[0].shipped) > 0 and len(asked[2].shipped) == 0


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_two_commits(tmp_path, monkeypatch, files):
    def git(*words):
        command = ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", *words]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "-q")
    shipped = tmp_path / "data" / "results" / "ledger-smollm2.json"
    shipped.parent.mkdir(parents=True)
    for number, path in enumerate(files):
        content = json.loads(path.read_text())
        shipped.write_text(json.dumps({"arrangements": {"inputs": "", "verdicts": content}}))
        git("add", "data")
        git("commit", "-q", "-m", f"Ship {number}")
    monkeypatch.setattr(ledgers, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path / "data")
    assert "A1.a: reproduced → inconclusive" in call("HEAD~1", "HEAD", status=1)
    assert call("HEAD", shipped, "--json", status=0) == "[]\n"
    with pytest.raises(ReproducerError, match="ledger-smoke.json in the commit 'HEAD'"):
        ledger_at("HEAD", "smoke")


@pytest.mark.parametrize("place", ["nowhere.json", "--help-me", "no such commit", ""])
def test_a_place_that_is_none(place):
    with pytest.raises(ReproducerError, match="expected a ledger's file, a store's folder or"):
        ledger_at(place or "\x20", "smollm2")


@pytest.mark.parametrize(
    "content",
    ["", "3", "[3]", '{"a": 3}', '{"a": {"verdicts": [{}]}}', '[{"id": 1, "verdict": 2}]',
     '[{"id": "a", "verdict": "holds"}, {"id": "a", "verdict": "holds"}]', "\udcff"],
)  # fmt: skip
def test_a_file_that_is_no_ledger(tmp_path, content):
    (tmp_path / "ledger.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ReproducerError, match="ledger"):
        ledger_at(str(tmp_path / "ledger.json"), "smollm2")
