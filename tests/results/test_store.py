"""The store: what was written or nothing, whatever happened to the file in between."""

import json
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from reproducer.errors import ReproducerError
from reproducer.results import store as module
from reproducer.results.merge import merge
from reproducer.results.store import Store
from tests.results.samples import forged, key_of, raw, result, same, spec


@pytest.fixture
def store(tmp_path):
    """Two results, 0 and 1."""
    store = Store(tmp_path / "own")
    store.put(result(0))
    store.put(result(1))
    return store


def set_aside(store):
    store.close()
    connection = sqlite3.connect(store.path)
    rows = connection.execute("SELECT key, reason FROM damaged").fetchall()
    connection.close()
    return rows


def test_round_trip(store):
    again = Store(store.folder)
    assert same(again.get(result(0).key), result(0)) and same(again.get(result(1).key), result(1))
    assert list(again.keys()) == sorted([result(0).key, result(1).key]) and len(again) == 2
    facts = again.get(result(0).key, arrays=False)
    assert facts.metrics == result(0).metrics and facts.arrays == {}
    assert again.get(spec(2).key) is None and spec(2).key not in again
    assert again.digest(result(0).key) != again.digest(result(1).key)


def test_a_folder_without_a_file_is_empty(tmp_path):
    empty = Store(tmp_path / "none")
    assert empty.get("0" * 64) is None and list(empty.keys()) == [] and len(empty) == 0
    assert empty.digest("0" * 64) is None and empty.smaller_budget("x", 9) is None
    assert not (tmp_path / "none").exists()


def test_the_last_writer_wins(store):
    other = result(0, provenance={**result(0).provenance, "device": "another"})
    store.put(other)
    assert same(store.get(other.key), other) and len(store) == 2


def test_a_key_that_is_not_its_specs_is_not_written(store):
    wrong = result(0)
    wrong.spec["seed"] = 5
    with pytest.raises(ValueError, match="expected the key of the spec"):
        store.put(wrong)
    with pytest.raises(ValueError, match="JSON compliant"):
        store.put(result(0, metrics={"loss_nats": [float("nan")]}))


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


def test_too_many_open_files_damage_nothing(store):
    other = Store(store.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(ReproducerError, match="cannot use the result store .*unable to open"):
            other.get(result(0).key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert same(other.get(result(0).key), result(0)) and set_aside(store) == []


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")
NOBODY = 65534


def as_nobody(check):
    """Whether `check` holds in a process of another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY), os.setuid(NOBODY)
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def public(store):
    """The store in a folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="reproducer-test-"))
    folder.chmod(0o755)
    store.close()
    shutil.copy(store.path, folder)
    yield Store(folder)
    shutil.rmtree(folder)


@as_root
def test_another_user_reads_and_a_file_without_permission_is_no_damage(public):
    key = result(0).key
    public.path.chmod(0o644)
    assert as_nobody(lambda: same(Store(public.folder).get(key), result(0)))
    assert as_nobody(lambda: refuses(lambda: Store(public.folder).put(result(2))))
    assert as_nobody(lambda: refuses(lambda: Store(public.folder).require_writable()))
    public.path.chmod(0o600)
    assert as_nobody(lambda: refuses(lambda: Store(public.folder).get(key)))
    assert same(public.get(key), result(0)) and set_aside(public) == []


@as_root
def test_another_user_reads_beside_an_open_writer(public):
    public.put(result(3))
    assert Path(f"{public.path}-wal").stat().st_size > 0
    assert as_nobody(lambda: same(Store(public.folder).get(result(3).key), result(3)))


@as_root
def test_a_folder_that_can_only_be_read(public):
    """As on a read-only file system, where no log can lie beside the file."""
    public.folder.chmod(0o555)
    public.path.chmod(0o444)
    assert as_nobody(lambda: same(Store(public.folder).get(result(1).key), result(1)))
    raw(public, "UPDATE results SET metrics = '{}'")
    assert as_nobody(lambda: Store(public.folder).get(result(1).key) is None)


def refuses(action):
    try:
        action()
    except ReproducerError as error:
        return "cannot use the result store" in str(error)
    return False


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_umask_decides_who_may_read(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        store = Store(tmp_path / "own")
        store.put(result(0))
        for path in store.folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == mode, path
    finally:
        os.umask(before)


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReproducerError, match="set REPRODUCER_STORE to a folder that can be used"):
        Store(tmp_path / "file" / "store").put(result(0))
    with pytest.raises(ReproducerError, match="set REPRODUCER_STORE to a folder that can be used"):
        Store(tmp_path / "file" / "store").require_writable()


def test_no_room(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(1, 1, 5 << 20))
    with pytest.raises(ReproducerError, match="expected 64 MiB free .*got 5 MiB"):
        Store(tmp_path).put(result(0))


def test_a_disk_that_fills_up_while_writing(store):
    store._connection.execute("PRAGMA max_page_count = 1")  # SQLite's own report of a full disk
    big = result(2, arrays=result(2).arrays | {"rows": np.zeros((2, 1 << 16), np.float32)})
    with pytest.raises(ReproducerError, match="cannot use the result store .*full"):
        store.put(big)
    assert same(store.get(result(0).key), result(0)) and big.key not in store
    store.close()
    store.put(big)
    assert same(store.get(big.key), big)


WRITER = """
import sys
from pathlib import Path
from reproducer.results.store import Store
from tests.results.samples import result
store, first, last = Store(Path(sys.argv[1])), *map(int, sys.argv[2:])
for number in range(first, last):
    store.put(result(number))
    print(number, flush=True)
"""


def writer(folder, first, last):
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(last)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writers_at_the_same_time(tmp_path):
    """Beginning with the making of the file."""
    writers = [writer(tmp_path, first, first + 40) for first in (0, 20, 100, 120)]
    for process in writers:
        process.communicate(timeout=100)
    assert [process.returncode for process in writers] == [0] * 4
    store = Store(tmp_path)
    assert len(store) == 120
    assert all(same(store.get(result(n).key), result(n)) for n in (*range(60), *range(100, 160)))


@pytest.mark.parametrize("after", [1, 7, 40])
def test_a_kill_keeps_what_put_returned_from(tmp_path, after):
    process = writer(tmp_path, 0, 10_000)
    told = [int(process.stdout.readline()) for _ in range(after)]
    time.sleep(0.003 * after)
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    store = Store(tmp_path)
    assert told == list(range(len(told))) and len(told) < 10_000
    assert all(same(store.get(result(n).key), result(n)) for n in told)
    assert len(told) <= len(store) <= len(told) + 1
    store.put(result(20_000))
    assert same(store.get(result(20_000).key), result(20_000))


def test_merge(tmp_path, store, caplog):
    other, target = Store(tmp_path / "other"), Store(tmp_path / "target")
    slower = result(0, metrics={**result(0).metrics, "seconds": 9.0})
    odd = result(1, arrays=result(1).arrays | {"rows": np.ones((2, 4), np.float32)})
    for each in (slower, odd, result(2), result(3)):
        other.put(each)
    raw(other, "UPDATE results SET metrics = 'damaged' WHERE key = ?", result(3).key)
    assert merge([store.folder], target) == {"copied": 2, "known": 0, "different": 0}
    assert merge([other.folder], target) == {"copied": 1, "known": 1, "different": 1}
    assert "differs" in caplog.text and "is damaged" in caplog.text
    for number in range(3):
        assert same(target.get(result(number).key), result(number))
    with pytest.raises(ReproducerError, match="expected a result store in .*nothing"):
        merge([store.folder, tmp_path / "nothing"], target)


def test_merge_takes_what_is_left_of_a_damaged_file(tmp_path, caplog):
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target")
    for number in range(60):
        source.put(result(number))
    source.close()
    content = bytearray(source.path.read_bytes())
    pages = len(content) // 4096
    content[4096 * (pages - 10) : 4096 * (pages - 9)] = bytes([0xAA]) * 4096
    source.path.write_bytes(content)
    counts = merge([source.folder], target)
    assert 0 < counts["copied"] < 60 and "cannot be read" in caplog.text
    for key in target.keys():
        assert target.get(key) is not None
