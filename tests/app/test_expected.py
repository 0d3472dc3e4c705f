"""A recomputed ledger against what the shipped one leads to expect."""

import json

import pytest
from typer.testing import CliRunner

from reproducer.app.cli import app
from reproducer.app.expected import confirm, expected_from, read_expected, write_expected
from reproducer.app.ledgers import ledger_at
from reproducer.paths import data_dir
from tests.app.ledgers import row, rows

SHIPPED = data_dir() / "results" / "ledger-smollm2.json"


def marked(wanted, came):
    """The mark of one claim, and its reason."""
    expected = expected_from(rows(wanted), "smollm2")
    (only,) = confirm(rows(*([came] if came else [])), expected)
    return only.mark, only.reason


def test_what_is_shipped_follows_from_the_shipped_ledger():
    """`reproduce pack` writes both."""
    assert read_expected() == expected_from(ledger_at(str(SHIPPED), "smollm2"), "smollm2")


@pytest.mark.parametrize(
    ("came", "mark", "reason"),
    [
        (row("A1.a"), "OK", "0.100 is inside 0.050 … 0.200"),
        (row("A1.a", ours=0.19, low=0.01, high=0.4, n=7), "OK", "inside"),
        (row("A1.a", ours=0.25), "WARN", "0.250 is outside 0.050 … 0.200"),
        (row("A1.a", ours=0.3, low=0.21, high=0.4), "FAIL", "have nothing in common"),
        (row("A1.a", ours=0.3, low=None, high=0.4), "WARN", "outside"),
        (row("A1.a", "inconclusive"), "WARN", "expected reproduced, got inconclusive"),
        (row("A1.a", "contradicted"), "FAIL", "expected reproduced, got contradicted"),
        (row("A1.a", "contradicted", model="tiny"), "WARN", "model: expected smollm2-135m, got"),
        (row("A1.a", criterion="below 0.4 (…)"), "WARN", "criterion: expected below 0.5"),
        (None, "FAIL", "no such claim"),
    ],
)
def test_marks(came, mark, reason):
    got, why = marked(row("A1.a"), came)
    assert got == mark and reason in why


def test_own_claims_have_an_opposite_too():
    assert marked(row("x", "holds"), row("x", "does not hold"))[0] == "FAIL"
    assert marked(row("x", "does not hold"), row("x", "holds"))[0] == "FAIL"


def test_times_are_the_machines_own():
    wanted = row("A5.library", experiment="throughput")
    for came in (row("A5.library", ours=99.0, low=98.0, high=100.0), row("A5.library")):
        assert marked(wanted, came | {"experiment": "throughput"}) == ("OK", "the same word")
    assert marked(wanted, row("A5.library", "contradicted"))[0] == "WARN"


def test_without_an_interval_only_words_count():
    wanted = row("A1.a", low=None, high=None)
    assert marked(wanted, row("A1.a", ours=7.0)) == ("OK", "the same word")
    assert marked(wanted, row("A1.a", "contradicted"))[0] == "FAIL"
    half_open = row("A1.a", high=None)
    assert marked(half_open, row("A1.a", ours=9.0))[0] == "OK"
    assert marked(half_open, row("A1.a", ours=0.01))[0] == "WARN"


def test_the_command(tmp_path):
    def call(status, *options):
        arguments = ["confirm", str(tmp_path / "mine.json"), *options]
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == status, done.output
        return done.output

    mine = list(ledger_at(str(SHIPPED), "smollm2").values())
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    assert call(0).splitlines()[-1] == f"{len(mine)} OK, 0 WARN, 0 FAIL"
    (tmp_path / "mine.json").write_text(json.dumps(mine[1:]))
    assert call(1).startswith(f"FAIL  {mine[0]['id']}: the ledger has no such claim")
    marks = json.loads(call(1, "--json"))
    assert [m["id"] for m in marks if m["mark"] == "FAIL"] == [mine[0]["id"]]


def test_it_is_written_beside_a_ledger(tmp_path):
    ledger = tmp_path / "ledger-smollm2.json"
    ledger.write_text(json.dumps([row("A1.a")]))
    path = write_expected(ledger, "smollm2")
    assert path == tmp_path / "expected.json"
    written = json.loads(path.read_text())
    assert written == expected_from(rows(row("A1.a")), "smollm2")
    assert written["claims"]["A1.a"]["tolerance"] == [0.05, 0.2]
