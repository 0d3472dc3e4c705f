"""The store: whole files or none, damage set aside, kills survived, two writers at peace."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.results.store import Result, Store

KEY = "0" * 64


def result(key=KEY, value=1.0):
    return Result(
        key=key,
        spec={"kind": "fit", "n": 3},
        metrics={"accuracy": [value]},
        arrays={"rows": torch.full((2, 4), value), "correct": torch.tensor([[True, False]])},
        provenance={"device": "cpu"},
    )


def test_round_trip(tmp_path):
    store = Store(tmp_path)
    store.put(result())
    back = store.get(KEY)
    assert (back.spec, back.metrics, back.provenance) == (
        {"kind": "fit", "n": 3},
        {"accuracy": [1.0]},
        {"device": "cpu"},
    )
    assert torch.equal(back.arrays["rows"], torch.ones(2, 4))
    assert back.arrays["correct"].dtype == torch.bool
    assert list(store.keys()) == [KEY] and KEY in store


def test_missing_is_none(tmp_path):
    assert Store(tmp_path).get("1" * 64) is None


@pytest.mark.parametrize("damage", [b"", b"not a tensor file", None])
def test_a_damaged_file_is_reported_and_set_aside(tmp_path, damage, caplog):
    store = Store(tmp_path)
    store.put(result())
    path = store.path(KEY)
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert store.get(KEY) is None
    assert "is damaged" in caplog.text
    assert not path.exists() and len(list(tmp_path.glob("*.damaged-*"))) == 1
    store.put(result())
    assert store.get(KEY) is not None


def test_two_writers_leave_one_whole_result(tmp_path):
    script = (
        "import sys, torch; from pathlib import Path; from reproducer.results.store import *\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for i in range(40):\n"
        "    arrays = {'r': torch.ones(64, 64)}\n"
        f"    store.put(Result('{KEY}', {{}}, {{'by': sys.argv[2]}}, arrays))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    writers = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == [f"{KEY}.safetensors"]
    assert Store(tmp_path).get(KEY).metrics["by"] in "ab"


def test_unwritable_folder_is_a_clear_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ReproducerError, match="cannot write to the result store"):
        Store(blocked / "store")


def test_full_disk_is_a_clear_error(tmp_path, monkeypatch):
    full = os.statvfs_result((1, 1, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(ReproducerError, match="MiB free"):
        Store(tmp_path)


SLOW_RUN = """
import sys
from reproducer import FitSpec, Recipe, compute, load_lm, load_texts
lm = load_lm("tiny")
recipe = Recipe(name="x", lr=1e-6, max_steps=400)
specs = [FitSpec(model="tiny", arrangement="[e] [m]xN", texts=(t.prefix(n),), recipe=recipe)
         for n in (6, 5, 4, 3, 2) for t in load_texts("unseen", lm, 4, 6)]
print(len(compute(specs, progress=False)), flush=True)
"""


def test_kill_loses_only_what_was_in_flight(tmp_path, monkeypatch):
    environment = os.environ | {"REPRODUCER_STORE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen([sys.executable, "-c", SLOW_RUN], env=environment)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.safetensors"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    started.send_signal(signal.SIGKILL)
    started.wait(timeout=30)
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.safetensors")}
    assert 4 <= len(before) < 20
    assert all(Store(tmp_path).get(name.split(".")[0]) for name in before)
    done = subprocess.run(
        [sys.executable, "-c", SLOW_RUN], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "20", done.stderr
    after = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.safetensors")}
    assert len(after) == 20
    # What was finished is untouched, so it was not computed again.
    assert {name: after[name] for name in before} == before
