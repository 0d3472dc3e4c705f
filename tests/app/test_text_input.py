"""What the command `text` reads: text of any kind is fitted or refused in one line."""

import json
import math

import pytest

from reproducer.app import fit_text as fitting
from reproducer.app.commands.fit import MOST_BYTES
from reproducer.models.card import model_card
from reproducer.results import run
from tests.app.calls import called

OPTIONS = ("--model", "tiny", "--seeds", "1", "--steps", "10", "--json")
KINDS = {
    "right to left": "\u05e9\u05dc\u05d5\u05dd",
    "joined emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "combining marks": "e\u0301\u0323",
    "a direction override": "\u202eabc",
    "a null character": "a\0b",
    "control characters": "\x1b[31m\a\b",
    "the last character": "\U0010ffff",
    "only spaces": "   ",
}


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_any_text_is_fitted(text):
    status, out, err = called(["text", "-", *OPTIONS, "--tokens", "3"], text.encode())
    assert status == 0, err
    fitted = json.loads(out, parse_constant=pytest.fail)
    assert fitted["n_tokens"] == 3 and 0 <= fitted["accuracy"] <= 1


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("model", ["tiny", "smollm2-135m"])
def test_tokens_say_all_of_a_text(model, text):
    tokenizer = model_card(model).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty one"),
        (b"\xef\xbb\xbf", "got an empty one"),  # a byte order mark is no text
        (b"\xff\xfea\0b\0", "can't decode byte 0xff"),
        (b"caf\xe9 au lait", "can't decode byte 0xe9"),
        ("\ud800".encode(errors="surrogatepass"), "can't decode byte 0xed"),
        (b"a" * (MOST_BYTES + 1), "expected a text of at most 8 MiB"),
    ],
    ids=["empty", "byte order mark", "UTF-16", "Latin-1", "half a surrogate pair", "too long"],
)
@pytest.mark.parametrize("from_file", [True, False])
def test_what_is_no_text(content, message, from_file, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "load_lm", None)
    (tmp_path / "text").write_bytes(content)
    place = str(tmp_path / "text") if from_file else "-"
    status, out, err = called(["text", place, *OPTIONS], content)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: ") and message in err


@pytest.mark.parametrize("place", ["", ".", "x" * 5000, "/dev/zero", "no/such/file"])
def test_a_place_that_holds_no_text(place, monkeypatch):
    monkeypatch.setattr(run, "load_lm", None)
    status, _, err = called(["text", place, *OPTIONS])
    assert status == 2 and len(err.splitlines()) == 1 and len(err) < 500


def test_megabytes(monkeypatch):
    monkeypatch.setenv("REPRODUCER_COMPUTE", "never")
    status, _, err = called(["text", "-", *OPTIONS], b"word and " * 200_000)
    # It came as far as the fit.
    assert status == 2 and "REPRODUCER_COMPUTE=never" in err


def test_half_a_surrogate_pair_from_python():
    with pytest.raises(ValueError, match="expected text of whole characters"):
        fitting.fit_text("a\ud800b", n_tokens=1, model="tiny")


@pytest.mark.parametrize(
    ("option", "value"), [("--seeds", 10**6), ("--steps", 10**9), ("--tokens", 10**9)]
)
def test_more_than_can_be_meant(option, value, monkeypatch):
    monkeypatch.setattr(run, "load_lm", None)
    status, _, err = called(["text", "-", "--model", "tiny", option, str(value)], b"abc")
    assert status == 2 and "expected at most" in err


def test_a_model_of_nan_gives_no_text(nan_lm, monkeypatch):
    monkeypatch.setitem(run._loaded, "tiny", nan_lm)
    words = ["text", "-", "--model", "tiny", "--tokens", "3", "--steps", "20"]
    status, out, err = called(words, b"The ferry left.")
    assert (status, out) == (2, "")
    assert "no start of 4 gave a finite loss on 'tiny'" in err and "failed at step 10" in err


def test_json_never_holds_nan(monkeypatch):
    told = {"a": math.nan, "b": [math.inf, 1.5], "c": "NaN"}
    monkeypatch.setattr("reproducer.app.status.experiment_status", lambda profile: told)
    status, out, _ = called(["status", "--json"])
    shown = json.loads(out, parse_constant=pytest.fail)
    assert (status, shown) == (0, {"a": None, "b": [None, 1.5], "c": "NaN"})
