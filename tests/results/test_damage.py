"""What was changed in a store is set aside, told in one line, and never read as a result."""

import json
import os
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.results import store as module
from reproducer.results.store import Store
from tests.results.samples import forged, key_of, raw, result, same, set_aside

SWAP = "UPDATE results SET {0} = (SELECT {0} FROM results b WHERE b.key <> results.key)"
TAMPERING = {
    "swapped keys": "UPDATE results SET key = CASE key WHEN '{a}' THEN 'x' ELSE '{a}' END",
    "swapped arrays": SWAP.format("arrays"),
    "swapped spec": SWAP.format("spec"),
    "swapped metrics": SWAP.format("metrics") + ", spec = spec",
    "another N under the key": "UPDATE results SET spec = replace(spec, '[0, 7]', '[0, 7, 9]')",
    "edited accuracy": "UPDATE results SET metrics = replace(metrics, '[0.5]', '[1.0]')",
    "edited steps": "UPDATE results SET metrics = replace(metrics, ': 10', ': 9')",
    "NaN loss": "UPDATE results SET metrics = replace(metrics, '[1.0]', '[NaN]')",
    "edited device": "UPDATE results SET provenance = replace(provenance, 'cpu', 'gpu')",
    "no metrics": "UPDATE results SET metrics = NULL",
    "a number for text": "UPDATE results SET provenance = 5",
    "bytes for text": "UPDATE results SET spec = CAST(spec AS BLOB)",
    "bytes that are no text": "UPDATE results SET metrics = CAST(x'ff00fe' AS TEXT)",
    "no arrays": "UPDATE results SET arrays = x''",
    "arrays that are none": "UPDATE results SET arrays = x'00112233445566778899'",
    "arrays that are text": "UPDATE results SET arrays = 'text'",
}


@pytest.mark.parametrize("how", TAMPERING)
def test_what_was_changed_is_set_aside_and_told_in_one_line(store, how, caplog):
    key = result(0).key
    if how == "swapped metrics":
        other = result(1, metrics={**result(1).metrics, "steps": 7})
        store.put(other)
    raw(store, TAMPERING[how].format(a=key) + ("" if "keys" in how else f" WHERE key = '{key}'"))
    assert Store(store.folder).get(key) is None
    assert len(caplog.records) == 1 and "is damaged" in caplog.text
    again = Store(store.folder)
    assert key not in again and [k for k, _ in set_aside(store)] == [key]
    if "keys" not in how:
        assert again.get(result(1).key) is not None
    again.put(result(0))
    assert same(again.get(key), result(0))


def test_one_flipped_bit_of_correct(store, caplog):
    key = result(0).key
    flipped = result(0).arrays | {"correct": np.array([[True, True]])}
    raw(store, "UPDATE results SET arrays = ? WHERE key = ?", safetensors.numpy.save(flipped), key)
    assert store.get(key) is None and "arrays are not those that were written" in caplog.text
    # Its facts are still those that were written; until arrays are asked for, they may be read.
    assert same(store.get(result(1).key), result(1))


def wrong(**metrics):
    return {"metrics": result(0).metrics | metrics}


WRONG_CONTENT = {
    "no metrics": {"metrics": {}},
    "a list for metrics": {"metrics": [1]},
    "accuracy as text": wrong(accuracy="high"),
    "accuracy of text": wrong(accuracy=["0.5"]),
    "accuracy above 1": wrong(accuracy=[1.5]),
    "two accuracies": wrong(accuracy=[0.5, 0.5]),
    "accuracy of other tokens": wrong(accuracy=[1.0]),
    "negative loss": wrong(loss_nats=[-1.0]),
    "infinite loss": wrong(loss_nats=[float("inf")]),
    "loss of other tokens": wrong(loss_nats=[3.0]),
    "more steps than allowed": wrong(steps=11),
    "half a step": wrong(steps=9.5),
    "an unknown metric": wrong(quality=1),
    "no rows": {"arrays": {k: v for k, v in result(0).arrays.items() if k != "rows"}},
    "no correct": {"arrays": {"rows": np.zeros((2, 4), np.float32)}},
    "correct as numbers": {"arrays": result(0).arrays | {"correct": np.array([[1, 0]])}},
    "nats of another length": {"arrays": result(0).arrays | {"nats": np.ones((1, 3), "f4")}},
    "flat arrays": {"arrays": result(0).arrays | {"correct": np.array([True, False])}},
    "empty correct": {"arrays": result(0).arrays | {"correct": np.ones((1, 0), bool)}},
}
WRONG_TEXT = {
    "no JSON": {"metrics": "{"},
    "deep JSON": {"metrics": "[" * 100_000},
    "a list for a spec": {"spec": "[]"},
    "another seed under the key": {"spec": json.dumps(result(0).spec | {"seed": 9})},
}


@pytest.mark.parametrize("how", [*WRONG_CONTENT, *WRONG_TEXT])
def test_wrong_content_with_a_right_digest(store, how, caplog):
    written = result(0, **WRONG_CONTENT.get(how, {}))
    row = forged(written, **WRONG_TEXT.get(how, {}))
    changes = ", ".join(f"{name} = ?" for name in row._fields)
    arrays = safetensors.numpy.save(written.arrays)
    raw(store, f"UPDATE results SET {changes}, arrays = ? WHERE key = ?", *row, arrays, row.key)
    assert store.get(row.key) is None
    assert len(caplog.records) == 1 and "is damaged" in caplog.text
    assert row.key not in store and same(store.get(result(1).key), result(1))


def test_a_recipe_without_a_budget(store):
    odd = result(0).spec | {"recipe": {}}
    row = forged(result(0), spec=json.dumps(odd), key=key_of(odd))
    fields = ", ".join(f"{name} = ?" for name in row._fields)
    raw(store, f"UPDATE results SET {fields} WHERE key = ?", *row, result(0).key)
    assert store.get(row.key) is None


class TestEveryByte:
    """No flipped byte of a store's file gives other numbers, or an error of another kind."""

    @pytest.fixture
    def small(self):
        # In memory where there is such a place: thousands of files are opened.
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(dir=base) as folder:
            store = Store(Path(folder))
            store.put(result(0))
            store.close()
            connection = sqlite3.connect(store.path)
            for command in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 512", "VACUUM"):
                connection.execute(command).close()
            connection.close()
            yield store

    @pytest.mark.slow
    def test_gives_the_result_or_none_or_a_clear_error(self, small, caplog):
        caplog.set_level("CRITICAL")
        whole, expected = small.path.read_bytes(), result(0)
        assert len(whole) < 10_000
        outcomes = dict.fromkeys(("equal", "missing", "error"), 0)
        for place in range(len(whole)):
            flipped = bytearray(whole)
            flipped[place] ^= (0x01, 0x80, 0xFF)[place % 3]
            outcomes[self.outcome(small, bytes(flipped), expected)] += 1
        assert all(outcomes.values())

    def outcome(self, small, content, expected):
        for rest in ("-wal", "-shm", "-journal"):
            Path(f"{small.path}{rest}").unlink(missing_ok=True)
        small.path.write_bytes(content)
        store = Store(small.folder)
        try:
            facts = store.get(expected.key, arrays=False)
            assert facts is None or facts.metrics == expected.metrics
            back = store.get(expected.key)
            assert back is None or same(back, expected)
            assert all(isinstance(key, str) for key in store.keys())
            for key in store.keys():
                assert store.get(key) is None or key == expected.key
            store.smaller_budget("x", 9), store.digest(expected.key), len(store)
            return "missing" if back is None else "equal"
        except ReproducerError:
            return "error"
        finally:
            store.close()

    @pytest.mark.parametrize("length", [0, 1, 15, 16, 100, 511, 512, 2000, -1])
    def test_a_file_that_was_cut_short(self, small, length, caplog):
        self.outcome(small, small.path.read_bytes()[:length], result(0))


def test_something_else_under_the_name(tmp_path):
    (tmp_path / module.FILE).write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(ReproducerError, match="is damaged .*move it away"):
        Store(tmp_path).get("0" * 64)
    (tmp_path / module.FILE).unlink()
    (tmp_path / module.FILE).mkdir()
    with pytest.raises(ReproducerError, match="cannot use the result store"):
        Store(tmp_path).get("0" * 64)
