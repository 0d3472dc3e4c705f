"""The ledger in a terminal: short, grouped, and within its width."""

import csv
import io
import itertools
import json
import os
import subprocess
import sys

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from reproducer.app.claims_table import GROUPS, ONE_LINE, WORDS, as_csv, compact, full
from reproducer.app.cli import app
from reproducer.experiments.claims import Verdict, Word, with_holm
from reproducer.paths import data_dir

SHIPPED = with_holm(
    Verdict(**fields)
    for entry in json.loads(
        (data_dir() / "results" / "ledger-smollm2.json").read_text(encoding="utf-8")
    ).values()
    for fields in entry["verdicts"]
)
LONG = SHIPPED[0].model_copy(update={"claim": "Ω" * 500, "published": "字" * 200, "ours": 279.0})


def told(verdicts, width):
    return [line.plain for line in compact(verdicts, width)]


def test_every_word_has_an_icon():
    assert set(WORDS) == set(Word.__args__)
    assert all(cell_len(icon) == 1 for icon, _ in WORDS.values())


@pytest.mark.parametrize("width", [40, 80, ONE_LINE - 1, ONE_LINE, 200])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(cell_len(line) for line in told([*SHIPPED, LONG], width)) <= width


@pytest.mark.parametrize(("width", "most"), [(80, 2), (ONE_LINE, 1), (200, 1)])
def test_lines_of_a_claim(width, most):
    title = list(GROUPS.values())
    for v in [*SHIPPED, LONG]:
        lines = told([v], width)
        claim = lines[lines.index(next(line for line in lines if line in title)) + 1 :]
        assert len(claim) == most
        assert claim[0].startswith(WORDS[v.verdict][0] + " ") and v.id in claim[0]


def test_groups_and_tally():
    lines = told(SHIPPED, 80)
    assert [lines.index(title) for title in GROUPS.values()] == sorted(
        lines.index(title) for title in GROUPS.values()
    )
    for name, title in GROUPS.items():
        members = [v for v in SHIPPED if (v.id[0] if not v.own else "own") == name]
        first = next(i for i, s in enumerate(lines) if s.startswith(f"{title}: {len(members)} cl"))
        more = itertools.takewhile(lambda line: line.startswith("  "), lines[first + 1 :])
        tally = "".join([lines[first], *more])
        for word in {v.verdict for v in members}:
            count = sum(v.verdict == word for v in members)
            assert f"{WORDS[word][0]} {count} {word}" in tally


def test_numbers_with_their_interval_beside_the_papers():
    v = SHIPPED[0].model_copy(update={"low": None, "holm": True})
    lines = told([v], 100)
    assert lines[-1] == (
        f"    {v.ours:.3f} (– … {v.high:.3f})*; n = {v.n} texts; "
        "paper: 0.17 at N = 4, 0.01 at N = 256"
    )
    untested = v.model_copy(update={"ours": None, "low": None, "high": None, "n": 0, "own": True})
    untested = untested.model_copy(update={"published": "not in the papers"})
    assert told([untested], 100)[-1] == "    no number"


def test_wide_leaves_nothing_out():
    (text,) = ["\n".join(line.plain for line in full([LONG], 400))]
    for name, value in LONG.model_dump(exclude={"claim", "parts"}).items():
        assert name == "id" or name in text
        assert ("–" if value is None else str(value)) in text
    assert LONG.claim[:300] in text and "None" not in text


def test_csv_has_every_field():
    rows = list(csv.DictReader(io.StringIO(as_csv(SHIPPED))))
    assert len(rows) == len(SHIPPED) and set(rows[0]) == set(Verdict.model_fields)
    for row, v in zip(rows, SHIPPED, strict=True):
        assert (row["id"], row["claim"], row["verdict"]) == (v.id, v.claim, v.verdict)
        assert row["ours"] == ("" if v.ours is None else str(v.ours))


PROGRAM = """
import sys
from reproducer.experiments import ledger
from tests.app.test_claims_table import SHIPPED
ledger.ledger = lambda profile: SHIPPED
sys.argv = ["reproduce", "claims", *sys.argv[1:]]
from reproducer.app.cli import main
main()
"""


def piped(*options, **environment):
    """Standard output, a pipe, of `reproduce claims` on the shipped ledger."""
    unset = ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    env = {name: value for name, value in os.environ.items() if name not in unset} | environment
    command = [sys.executable, "-c", PROGRAM, *options]
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def test_a_pipe_gets_plain_lines_of_the_columns_it_asks_for():
    assert piped().splitlines() == told(SHIPPED, 80)
    assert piped(COLUMNS="160").splitlines() == told(SHIPPED, 160)
    assert "\x1b[" in piped(FORCE_COLOR="1")
    assert "\x1b[3" not in piped(FORCE_COLOR="1", NO_COLOR="1")


def test_json_and_csv_of_the_command(monkeypatch):
    monkeypatch.setattr("reproducer.experiments.ledger.ledger", lambda profile: SHIPPED)
    call = CliRunner().invoke
    assert json.loads(call(app, ["claims", "--json"]).output) == [
        json.loads(v.model_dump_json()) for v in SHIPPED
    ]
    assert call(app, ["claims", "--csv"]).output == as_csv(SHIPPED)
    assert "expected one of" in str(call(app, ["claims", "--csv", "--wide"]).exception)
