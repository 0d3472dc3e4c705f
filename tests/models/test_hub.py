"""The hub: where it does not answer, that is said in seconds and in one line."""

import os
import socket
import subprocess
import sys

import pytest

from reproducer.errors import ReproducerError
from reproducer.models.card import COMMIT, model_card
from reproducer.models.hub import SECONDS
from reproducer.models.zoo import MODELS

ASK = """
import time
from reproducer.errors import ReproducerError
from reproducer.models.card import COMMIT, model_card
from reproducer.texts.sources import hub_rows
import datasets, huggingface_hub

begun = time.monotonic()
for ask in (lambda: model_card("someone/a"), lambda: model_card("other/b@v1"),
            lambda: list(hub_rows("someone/texts", "others work"))):
    try:
        ask()
    except ReproducerError as error:
        print(error)
print(time.monotonic() - begun)
"""


def asked(**environment):
    """What a process of its own is told by a hub, and how many seconds it asked."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    command = [sys.executable, "-W", "ignore", "-c", ASK]
    done = subprocess.run(command, env=own | environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Retrying" not in done.stderr, done.stderr
    *lines, seconds = done.stdout.splitlines()
    return lines, float(seconds)


@pytest.fixture
def silent():
    """The address of a hub that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed():
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("hub", ["silent", "closed"])
def test_an_unreachable_hub_is_asked_once_and_told_in_one_line(hub, request, tmp_path):
    lines, seconds = asked(HF_ENDPOINT=request.getfixturevalue(hub), HF_HOME=str(tmp_path))
    assert len(lines) == 3 and all("unreachable" in line for line in lines[:2])
    assert "cannot load 'someone/a' from the hub" in lines[0] and "others work" in lines[2]
    # The three are told together within the time-out of one, and what the libraries take.
    assert seconds < SECONDS + 5


def test_offline_nothing_is_asked(silent, tmp_path):
    lines, seconds = asked(HF_ENDPOINT=silent, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert len(lines) == 3 and seconds < SECONDS


def test_a_commit_names_itself(monkeypatch):
    monkeypatch.setattr("reproducer.models.card._hub_commit", None)
    card = model_card("someone/some-model@" + "0123456789" * 4)
    assert card.revision == "0123456789" * 4 and card.folder == "someone/some-model"
    assert card.weights == f"hub:someone/some-model@{card.revision}"


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if entry.hub])
def test_a_short_name_is_one_commit_and_nothing_is_asked(name, monkeypatch):
    monkeypatch.setattr("reproducer.models.card._hub_commit", None)
    card = model_card.__wrapped__(name)
    assert COMMIT.fullmatch(card.revision) and card.weights.endswith(f"@{card.revision}")
    untrained = model_card.__wrapped__(f"random:{name}")
    assert untrained.weights.startswith("untrained:") and untrained.revision is None


def test_a_branch_is_resolved_to_its_commit(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "reproducer.models.card._hub_commit", lambda *name: asked.append(name) or "abc"
    )
    assert model_card("pythia-160m@step3000").weights == "hub:EleutherAI/pythia-160m@abc"
    assert model_card("someone/some-model").revision == "abc"
    assert asked == [("EleutherAI/pythia-160m", "step3000"), ("someone/some-model", "main")]


@pytest.mark.parametrize("name", ["someone/some-model@", "tiny@main", "smollm2-135m@main"])
def test_a_revision_of_nothing(name):
    with pytest.raises(ReproducerError, match="expected a branch, tag or commit"):
        model_card(name)
