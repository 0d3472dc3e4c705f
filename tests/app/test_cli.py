"""The command: what it prints, and one clear line and status 2 for bad input."""

import contextlib
import json
import logging
import os
import subprocess
import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from reproducer.app import shipping
from reproducer.app.cli import app, main
from reproducer.app.commands import ship
from reproducer.experiments import arrangements, encoder
from reproducer.experiments.base import grid
from reproducer.experiments.profiles import load_params
from reproducer.results.known import Known
from reproducer.results.packs import packs
from reproducer.results.run import compute
from reproducer.results.store import Store
from tests.results.samples import raw

SENTENCE = "The ferry left the quay an hour late."
SMOKE = ("--profile", "smoke")


def call(*arguments, stdin=None, status=0):
    done = CliRunner().invoke(app, list(arguments), input=stdin, catch_exceptions=False)
    assert done.exit_code == status, done.output
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


def status_of(name="arrangements"):
    rows = json.loads(call("status", *SMOKE, "--json"))
    return next(row for row in rows if row["experiment"] == name)


def test_run_status_and_claims(one_experiment):
    before = status_of()
    assert before["stored"] == 0 and len(before["missing"]) == before["specs"] == 37
    printed = call("run", "arrangements", *SMOKE)
    assert "arrangements: 36 rows" in printed and "36 of 36 fits, 1 of 1 readings" in printed
    after = status_of()
    assert after["stored"] == 37 and after["missing"] == [] and after["open"] is False
    assert "arrangements" in call("status", *SMOKE)
    # Random weights never produce a verdict.
    assert json.loads(call("claims", *SMOKE, "--json")) == []
    assert "verdict" in call("claims", *SMOKE)


def test_an_experiment_is_open_while_what_it_asks_for_is_missing(one_experiment, monkeypatch):
    """Its second round asks for a fit of the texts that the first round solved."""
    params = load_params("arrangements", "smoke")
    first = grid(params, params.arrangements)[:2]

    def in_rounds(params, known):
        results = known.all(first)
        again = [fit.model_copy(update={"seed": 1}) for fit in first]
        return [*first, *again] if len(results) == len(first) else first

    monkeypatch.setattr(arrangements, "specs", in_rounds)
    assert status_of()["open"] is True and status_of()["specs"] == 2
    assert "open" in call("status", *SMOKE)
    compute(first, progress=False)
    row = status_of()
    assert row["open"] is False and row["specs"] == 4 and len(row["missing"]) == 2


def test_parameters_override_the_profile():
    arguments = ("-p", "lengths=[2]", "-p", "n_texts=1")
    assert "arrangements: 6 rows" in call("run", "arrangements", *SMOKE, *arguments)


def test_a_profile_of_the_users_in_a_file(one_experiment, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("common: {model: tiny, n_texts: 1}\narrangements: {lengths: [2], max_steps: 5}")
    assert "arrangements: 6 rows" in call("run", "arrangements", "--profile", str(mine))
    (row,) = json.loads(call("status", "--profile", str(mine), "--json"))
    assert (row["profile"], row["missing"]) == ("mine", [])
    assert json.loads(call("claims", "--profile", str(mine), "--json")) == []


def test_one_line_follows_a_run_of_several_experiments(one_experiment):
    """Both are planned before the first fit, and the four fits that they share count once."""
    options = ("-p", "n_texts=1", "-p", "max_steps=5", *SMOKE)
    printed = call("run", "arrangements", "second_position", *options)
    assert "arrangements: 18 rows" in printed and "second_position: 6 rows" in printed
    assert "0 of 20 fits" in printed and "20 of 20 fits" in printed


def test_text_as_json_and_from_standard_input():
    options = ("--model", "tiny", "--tokens", "3", "--steps", "30", "--seeds", "2")
    fitted = json.loads(call("text", "-", *options, "--json", stdin=SENTENCE))
    assert fitted["model"] == "tiny" and fitted["n_tokens"] == 3
    assert fitted["recipe"] == "paper"  # it has no warm start for another
    assert {"accuracy", "reconstructed", "steps", "seconds"} <= fitted.keys()
    assert fitted["command_seconds"] > 0
    assert "".join(span["wanted"] for span in fitted["spans"]) == SENTENCE[:3]
    right = sum(a == b for a, b in zip(fitted["reconstructed"], SENTENCE[:3], strict=False))
    assert fitted["accuracy"] == pytest.approx(right / 3)


def test_text_marks_wrong_tokens(tmp_path):
    (tmp_path / "text.txt").write_text(SENTENCE)
    options = ("--model", "tiny", "--tokens", "4", "--steps", "1", "--seeds", "1")
    shown = call("text", str(tmp_path / "text.txt"), *options)
    assert "≠" in shown and "of 4 tokens came back" in shown
    assert "the fit: " in shown and "this command: " in shown


def test_a_short_text_is_fitted_whole(caplog):
    options = ("--model", "tiny", "--steps", "1", "--seeds", "1", "--json")
    fitted = json.loads(call("text", "-", *options, stdin="Hi"))
    assert fitted["n_tokens"] == 2 and fitted["spans"]
    assert caplog.messages == ["the text has 2 tokens: fitting these, not 8"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "arangements"], "did you mean 'arrangements'"),
        (["run", "arrangements", "arangements"], "did you mean 'arrangements'"),
        (["pack", "arangements"], "did you mean 'arrangements'"),
        (["run", "arrangements", "--profile", "quik"], "did you mean 'quick'"),
        (["run", "arrangements", "-p", "length=[1]"], "did you mean 'lengths'"),
        (["run", "arrangements", "-p", "lengths"], "expected NAME=VALUE"),
        (["run", "arrangements", "-p", "lengths=[1"], "parameter lengths: expected YAML, got '[1'"),
        (["run", "arrangements", "-p", "lengths=&a [1, *a]"], "expected YAML without aliases"),
        (["run", "arrangements", "-p", "model=*x"], "unknown model '*x'"),
        (["run", "arrangements", "-p", "model="], "unknown model ''"),
        (["run", "arrangements", "-p", "source="], "unknown source ''"),
        (["run", "capacity", "-p", "source=unseen:x"], "unknown source 'unseen:x'"),
        (["run", "arrangements", "-p", "n_texts=@"], "expected YAML, got '@'"),
        (["run", "arrangements", "-p", f"n_texts={10**23 - 1}"], "from 0 to 10000, got 999"),
        (["run", "arrangements", "-p", f"model={'x' * 5000}"], "… (5002 characters)"),
        (["run", "arrangements", "-p", f"{'x' * 5000}=1"], "… (5002 characters)"),
        (["run", "arrangements", "-p", "seed=true"], "a valid integer, got True"),
        (["run", "arrangements", "-p", "lengths=[4, 4]"], "expected each once, got 4 twice"),
        (["run", "arrangements", "-p", "profile=quick"], "unknown parameter 'profile'"),
        (["run", "arrangements", "-p", "max_steps=.nan"], "from 0 to 1000000, got nan"),
        (["run", "distances", *SMOKE, "-p", "n_tokens=300"], "at most its 256 positions, got 317"),
        (["run", "arrangements", "-p", "n_texts=0"], "greater than or equal to 1, got 0"),
        (["run", "arrangements", "-p", "lengths=[]"], "at least 1 item"),
        (["run", "arrangements", "-p", "model=smollm3"], "did you mean 'smollm2-135m'"),
        (["run", "arrangements", "-p", "recipe=papr", "-p", "model=tiny"], "did you mean 'paper'"),
        (["run", "arrangements", "-p", "source=unsen"], "did you mean 'unseen'"),
        (["run", "arrangements", "-p", "lengths=[2000]"], "longest usable length"),
        (["run", "arrangements", "-p", "lengths=[8192]"], "at most its 8192 positions, got 8194"),
        (["book", "--profile", "nope"], "unknown profile 'nope'"),
        (["book", "--profile", "/nowhere/mine.yaml"], "expected a file, got none there"),
        (["run", "noise", "--profile", "/nowhere/mine.yaml"], "expected a file, got none there"),
        (["merge", "/nowhere/store"], "expected a result store in /nowhere/store"),
        (["verify", "--sample", "0"], "expected a sample of at least 1, got 0"),
        (["text", "/nowhere/text.txt"], "cannot read '/nowhere/text.txt'"),
        (["text", "FILE", "--tokens", "0"], "expected tokens of at least 1, got 0"),
        (["text", "FILE", "--steps", "0"], "expected steps of at least 1, got 0"),
        (["text", "EMPTY", "--model", "tiny"], "at least one token, got an empty one"),
        (["text", "FILE", "--tokens", "256", "--model", "tiny"], "at most its 256 positions"),
        (["text", "FILE", "--arrangement", "[e]"], "unknown arrangement '[e]'"),
        (["text", "FILE", "--model", "FOLDER"], "no config.json"),
    ],
)
def test_bad_input_before_any_work(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("reproducer.results.run.load_lm", None)
    (tmp_path / "text.txt").write_text(SENTENCE * 8)
    (tmp_path / "empty.txt").write_text("")
    files = {"FILE": "text.txt", "EMPTY": "empty.txt", "FOLDER": ""}
    places = {word: str(tmp_path / name) for word, name in files.items()}
    words = [places.get(word, word) for word in arguments]
    assert message in complaint(capsys, monkeypatch, *words)


def test_unwritable_store(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "file" / "store"))
    line = complaint(capsys, monkeypatch, "run", "arrangements", *SMOKE)
    assert "set REPRODUCER_STORE to a folder that can be used" in line


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "reproducer", "run", "nothing"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "unknown experiment 'nothing'" in done.stderr


def test_status_goes_on_where_one_experiment_refuses_what_all_are_given(
    one_experiment, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr("reproducer.app.status.EXPERIMENTS", ("syntax", "noise"))
    mine = tmp_path / "mine.yaml"
    mine.write_text("common: {model: tiny, n_texts: 1}")
    rows = json.loads(call("status", "--profile", str(mine), "--json"))
    assert [row["experiment"] for row in rows] == ["noise"]
    (line,) = caplog.messages
    assert line.startswith("syntax: not planned: parameter n_texts of 'syntax'")


def test_a_profile_that_no_experiment_can_take_is_an_error(capsys, monkeypatch, tmp_path, caplog):
    (tmp_path / "mine.yaml").write_text("common: {n_texts: 0}")
    assert "n_texts" in complaint(
        capsys, monkeypatch, "status", "--profile", str(tmp_path / "mine.yaml")
    )
    assert "profile 'smokee'" in complaint(capsys, monkeypatch, "status", "--profile", "smokee")
    assert not caplog.messages


def test_packs_of_another_profile_stand_beside_the_shipped_ones(one_experiment, monkeypatch):
    call("run", "arrangements", *SMOKE, "-p", "n_texts=1")
    assert "arrangements: 19 results" in call("pack", "arrangements", *SMOKE).replace("\n", "")
    files = sorted(path.name for path in one_experiment.iterdir())
    tables = ["arrangements-smoke.parquet", "arrangements-smoke.safetensors"]
    assert files == [*tables, "ledger-smoke.json", "manifest.json"]
    # One of the profile's two texts, and the reading of the positions.
    assert len(packs()) == 36 // 2 + 1
    monkeypatch.setenv("REPRODUCER_STORE", str(one_experiment.parent / "elsewhere"))
    assert status_of()["stored"] == 19
    # What is shipped is packed again together with what is new.
    call("run", "arrangements", *SMOKE)
    assert "arrangements: 37 results" in call("pack", "arrangements", *SMOKE).replace("\n", "")


def test_a_pack_is_whole_though_nobody_reads_what_it_says(one_experiment, monkeypatch):
    """As in `reproduce pack | head -0`, and with the profile that is shipped."""
    call("run", "arrangements", *SMOKE, "-p", "n_texts=1")
    written = []
    monkeypatch.setattr(shipping, "SHIPPED", "smoke")
    monkeypatch.setattr("reproducer.app.shipping.write_expected", lambda *_: written.append(1))
    for name in ("reconstructions.ship_reconstructions", "playground.ship_playground"):
        monkeypatch.setattr(f"reproducer.app.{name}", lambda *_: written.append(1))
    read, write = os.pipe()
    os.close(read)
    # A console that nobody read falls silent for good: the test has one of its own.
    monkeypatch.setattr(ship, "console", Console())
    monkeypatch.setattr(sys, "argv", ["reproduce", "pack", *SMOKE])
    with (
        open(write, "w") as nobody,
        contextlib.redirect_stdout(nobody),
        pytest.raises(SystemExit) as stop,
    ):
        main()
    assert stop.value.code == 1
    names = {path.name for path in one_experiment.iterdir()}
    assert {"arrangements.parquet", "ledger-smoke.json"} <= names and len(written) == 3


def test_merge_unites_stores(one_experiment, monkeypatch, tmp_path, caplog):
    for place, texts in (("one", 1), ("two", 2)):
        monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / place))
        call("run", "arrangements", *SMOKE, "-p", f"n_texts={texts}")
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "all"))
    printed = call("merge", str(tmp_path / "one"), str(tmp_path / "two"))
    # A fit hangs on rounding, and rounding on what else is in the batch.
    copied, same, different = (int(part.split()[0]) for part in printed.split(", "))
    assert (copied, same + different) == (37, 19) and same > 0
    assert status_of()["missing"] == []


def test_what_is_heavy_is_packed_only_if_it_is_asked_for(one_experiment, monkeypatch):
    params = load_params("encoder", "smoke")
    asked = encoder.encoder(params)
    monkeypatch.setattr(encoder, "specs", lambda *_: [asked])
    monkeypatch.setattr("reproducer.app.shipping.ship_ledger", lambda _: None)
    compute([asked], progress=False)
    call("pack", "encoder", *SMOKE)
    kinds = [packs().get(key).spec["kind"] for key in packs().keys()]
    assert sorted(kinds) == ["continuations", "encoder"]  # not the encoder that it began at
    assert asked in Known() and asked.begun in Known() and Known().settled(asked).key in packs()


class TestVerify:
    @pytest.fixture
    def shipped(self, one_experiment, tiny):
        call("run", "arrangements", *SMOKE)
        call("pack", "arrangements", *SMOKE)
        return one_experiment

    def test_sound_fits(self, shipped):
        rows = json.loads(call("verify", "--json"))
        assert len(rows) == 36 and {row["n_tokens"] for row in rows} == {1, 2, 4}
        assert all(row["stored"] == row["computed"] and row["differ"] == 0 for row in rows)
        assert len(json.loads(call("verify", "--sample", "5", "--json"))) == 5
        assert "36 fits, 84 tokens: 0 differ, 0 ties" in call("verify")

    def test_encodings_and_fits_from_them(self, shipped):
        from reproducer.results.packs import pack

        params = load_params("encoder", "smoke")
        compute(encoder.written(params), progress=False)
        readings = encoder.readings(params, Known())
        asked = [*readings.values(), *encoder.fits(params, Known())]
        pack(compute(asked, progress=False), "encoder-smoke")
        kinds = {spec.key: spec.kind for spec in map(Known().settled, asked)}
        rows = json.loads(call("verify", "--json"))
        checked = [kinds.get(row["key"], "fit") for row in rows]
        assert checked.count("encoded") == len(readings)
        assert checked.count("encoded fit") == params.n_texts
        assert all(row["stored"] == row["computed"] and row["differ"] == 0 for row in rows)

    def test_a_fit_that_was_stored_wrong(self, shipped):
        """With right digests: as a fault of the solver would store it."""
        from reproducer.results.packs import pack
        from reproducer.results.specs import Result

        params = load_params("arrangements", "smoke")
        results = Known().all(grid(params, params.arrangements))
        first = results[0]
        arrays = first.arrays | {"correct": ~first.arrays["correct"]}
        metrics = first.metrics | {"accuracy": arrays["correct"].mean(1).tolist()}
        wrong = Result(first.key, first.spec, metrics, arrays, first.provenance)
        pack([wrong, *results[1:]], "arrangements-smoke")
        rows = json.loads(call("verify", "--json", status=1))
        assert [row["key"] for row in rows if row["differ"]] == [first.key]
        assert first.key[:12] in call("verify", status=1)


def test_damaged_results_cost_a_line_each(one_experiment, caplog):
    caplog.set_level(logging.WARNING)
    call("run", "arrangements", *SMOKE)
    raw(Store(), "UPDATE results SET metrics = '{}' WHERE kind = 'fit'")
    assert "arrangements: 36 rows" in call("run", "arrangements", *SMOKE)
    assert sum("is damaged" in line for line in caplog.messages) == 36
