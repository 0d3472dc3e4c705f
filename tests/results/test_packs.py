"""Packs: what is packed comes back, is looked up first, and is never taken on trust."""

import hashlib
import json
import os
import resource
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import safetensors.numpy

from reproducer import load_params
from reproducer.errors import ReproducerError
from reproducer.experiments import arrangements
from reproducer.experiments.study import study, wanted
from reproducer.paths import data_dir, shipped_dir
from reproducer.results import packs as module
from reproducer.results.budgets import course
from reproducer.results.known import Known
from reproducer.results.packs import MANIFEST, Packs, pack, packs
from reproducer.results.run import compute
from reproducer.results.store import Store
from tests.results.samples import forged, result, same, spec


@pytest.fixture
def folder(tmp_path):
    """Three packs: `a` of results 0 and 1, `b` of 2 and 3, `c` of 3 again."""
    folder = tmp_path / "packs"
    for name, numbers in (("a", (0, 1)), ("b", (2, 3)), ("c", (3,))):
        pack([result(n) for n in numbers], name, folder)
    return folder


def readable(folder):
    """The numbers of the results that can be read, each checked to be what was packed."""
    shipped = Packs(folder)
    back = {n: shipped.get(result(n).key) for n in range(4)}
    assert all(r is None or same(r, result(n)) for n, r in back.items())
    return {n for n, r in back.items() if r is not None}


def rewrite(folder, name, rows, arrays=None):
    """Replace a pack's content, with digests that are right for it."""
    columns = pyarrow.Table.from_pylist([row._asdict() for row in rows])
    pyarrow.parquet.write_table(columns, folder / f"{name}.parquet")
    if arrays is not None:
        safetensors.numpy.save_file(arrays, folder / f"{name}.safetensors")
    sign(folder, name)


def sign(folder, name):
    digests = json.loads((folder / MANIFEST).read_text())
    content = (folder / f"{name}.parquet").read_bytes()
    digests[f"{name}.parquet"] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(digests))


def tensors(*results):
    return {f"{r.key}/{name}": array for r in results for name, array in r.arrays.items()}


def test_packed_results_come_back_and_nothing_is_computed(tmp_path, monkeypatch):
    params = load_params("arrangements", "smoke")
    specs = arrangements.specs(params, Known())
    results = compute(specs, progress=False)
    pack(results, "arrangements", tmp_path / "packs")
    known = Known(Store(tmp_path / "empty"), Packs(tmp_path / "packs"))

    def forbidden(specs, *rest):
        assert not specs, "a shipped result was computed again"
        return ()

    monkeypatch.setattr(sys.modules["reproducer.results.run"], "_computed", forbidden)
    n_fits = sum(spec.kind == "fit" for spec in specs)
    assert len(study(params, known=known)) == n_fits
    again = compute(specs, known, progress=False)
    assert all(same(a, b) for a, b in zip(again, results, strict=True))
    assert not (tmp_path / "empty").exists()


def test_a_folder_without_packs_is_empty(tmp_path):
    empty = Packs(tmp_path / "none")
    assert len(empty) == 0 and empty.get("0" * 64) is None and empty.keys() == []
    with pytest.raises(ReproducerError, match="expected results to pack"):
        pack([], "x", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ReproducerError, match="cannot write the pack 'x'"):
        pack([result(0)], "x", tmp_path / "file")


def test_the_folder_can_be_another_one(tmp_path, monkeypatch):
    monkeypatch.delenv("REPRODUCER_SHIPPED", raising=False)
    assert shipped_dir() == data_dir() / "results"
    monkeypatch.setenv("REPRODUCER_SHIPPED", str(tmp_path))
    packs.cache_clear()
    try:
        assert len(packs()) == 0
    finally:
        packs.cache_clear()


def test_all_are_readable(folder, caplog):
    assert readable(folder) == {0, 1, 2, 3} and len(Packs(folder)) == 4
    assert Packs(folder).keys() == sorted(result(n).key for n in range(4))
    assert Packs(folder).get(result(0).key, arrays=False).arrays == {}
    assert not caplog.records


BROKEN = {
    "no table": lambda f: (f / "a.parquet").unlink(),
    "no arrays": lambda f: (f / "a.safetensors").unlink(),
    "an empty table": lambda f: (f / "a.parquet").write_bytes(b""),
    "empty arrays": lambda f: (f / "a.safetensors").write_bytes(b""),
    "the table of another pack": lambda f: os.replace(f / "c.parquet", f / "a.parquet"),
    "arrays cut short": lambda f: os.truncate(f / "a.safetensors", 500),
    "no table's content": lambda f: ((f / "a.parquet").write_bytes(b"PAR1xPAR1"), sign(f, "a")),
    "other columns": lambda f: (
        pyarrow.parquet.write_table(pyarrow.table({"key": ["x"]}), f / "a.parquet"),
        sign(f, "a"),
    ),
    "columns of numbers": lambda f: rewrite(f, "a", [forged(result(0))._replace(key=5)]),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_pack_costs_one_line_and_its_own_results(folder, how, caplog):
    BROKEN[how](folder)
    assert readable(folder) >= {2, 3} and not readable(folder) & {0, 1}
    caplog.clear()
    readable(folder)
    # A table that went to another pack's place is missing in its own, too.
    expected = 2 if how == "the table of another pack" else how != "columns of numbers"
    assert len(caplog.records) == expected and "c.parquet" not in caplog.text.split("a.parquet")[0]


def test_a_result_in_two_packs_survives_the_loss_of_one(folder, caplog):
    (folder / "b.safetensors").write_bytes(b"damaged")
    assert readable(folder) == {0, 1, 3} and len(caplog.records) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"../a.parquet": ""}', "\udcff"])
def test_a_broken_manifest(folder, content, caplog):
    (folder / MANIFEST).write_bytes(content.encode(errors="surrogateescape"))
    assert readable(folder) == set() and "none of its packs can be trusted" in caplog.text


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_writer_that_dies_between_its_files_takes_nothing_away(folder, monkeypatch, after):
    left, replace = iter(range(after)), os.replace

    def dying(source, target):
        if next(left, None) is None:
            raise SystemExit
        replace(source, target)

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(SystemExit):
        pack([result(number) for number in (0, 1, 2)], "a", folder)
    assert readable(folder) == {0, 1, 2, 3}
    monkeypatch.undo()
    pack([result(number) for number in (0, 1, 2)], "a", folder)
    assert readable(folder) == {0, 1, 2, 3} and not list(folder.glob("*.tmp"))


def test_all_files_are_on_the_disk_before_any_is_put_in_place(folder, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        really = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=really: (calls.append(n), r(*a)))
    pack([result(0), result(1)], "a", folder)
    assert calls == ["fsync"] * 3 + ["replace"] * 3 and readable(folder) == {0, 1, 2, 3}


def test_what_was_packed_stays_if_the_disk_fails(folder, monkeypatch):
    files = {path: path.read_bytes() for path in folder.iterdir()}
    left, really = iter(range(2)), os.fsync

    def full(number):
        if next(left, None) is None:
            raise OSError("no space left")
        really(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReproducerError, match="cannot write the pack 'a' .*no space left"):
        pack([result(0)], "a", folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == files


def test_digests_of_a_wrong_type(folder):
    (folder / MANIFEST).write_text('{"a.parquet": 5, "b.parquet": null}')
    assert readable(folder) == set()


def edited(**texts):
    """The row of result 0 with an edited text, under the digest that was right before."""
    row = forged(result(0))
    return row._replace(**{name: edit(getattr(row, name)) for name, edit in texts.items()})


ROWS = {
    "edited accuracy": edited(metrics=lambda text: text.replace("[0.5]", "[1.0]")),
    "NaN loss": edited(metrics=lambda text: text.replace("[1.0]", "[NaN]")),
    "another N": edited(spec=lambda text: text.replace("[0, 7]", "[0, 7, 9]")),
    "the arrays of another": edited(arrays_sha256=lambda _: forged(result(1)).arrays_sha256),
    "the key of another": edited(key=lambda _: result(1).key),
    "no spec": edited(spec=lambda _: None),
    "NaN, signed": forged(result(0), metrics='{"accuracy": [0.5], "loss_nats": [NaN]}'),
    "no metrics, signed": forged(result(0, metrics={})),
    "another N, signed": forged(result(0), spec=json.dumps(result(1).spec)),
    "a list, signed": forged(result(0), provenance="[]"),
}


@pytest.mark.parametrize("how", ROWS)
def test_a_changed_row_under_a_right_manifest(folder, how, caplog):
    rewrite(folder, "a", [ROWS[how], forged(result(1))])
    assert 0 not in readable(folder) and readable(folder) >= {2, 3}
    if how != "the key of another":
        assert 1 in readable(folder)
        caplog.clear()
        readable(folder)
        assert len(caplog.records) == 1 and "is damaged" in caplog.text


def test_arrays_under_swapped_names_and_a_flipped_bit(folder, caplog):
    rows = [forged(result(0)), forged(result(1))]
    zero, one = (tensors(result(n)) for n in (0, 1))
    swapped = dict(zip([*zero, *one], [*one.values(), *zero.values()], strict=True))
    rewrite(folder, "a", rows, swapped)
    assert readable(folder) == {2, 3}
    flipped = result(0).arrays | {"correct": np.array([[True, True]])}
    rewrite(folder, "a", rows, tensors(result(0, arrays=flipped), result(1)))
    assert readable(folder) == {1, 2, 3} and "arrays are not those" in caplog.text


@pytest.mark.parametrize("name", ["a.parquet", "a.safetensors", MANIFEST])
def test_each_flipped_byte(tmp_path, name, caplog):
    caplog.set_level("CRITICAL")
    pack([result(0)], "a", tmp_path)
    whole = (tmp_path / name).read_bytes()
    outcomes = dict.fromkeys(("equal", "missing", "error"), 0)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= (0x01, 0x80, 0xFF)[place % 3]
        (tmp_path / name).write_bytes(flipped)
        try:
            shipped = Packs(tmp_path)
            back = shipped.get(result(0).key)
            assert back is None or same(back, result(0))
            outcomes["equal" if back else "missing"] += 1
        except ReproducerError:
            outcomes["error"] += 1
    assert outcomes["missing"] > 0.9 * len(whole) and outcomes["error"] == 0


def test_each_flipped_byte_of_a_table_whose_manifest_agrees(tmp_path, caplog):
    """So that the table is read at all: what the format does not notice, the digests do."""
    caplog.set_level("CRITICAL")
    pack([result(0)], "a", tmp_path)
    whole = (tmp_path / "a.parquet").read_bytes()
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= (0x01, 0x80, 0xFF)[place // 3 % 3]
        (tmp_path / "a.parquet").write_bytes(flipped)
        sign(tmp_path, "a")
        back = Packs(tmp_path).get(result(0).key)
        assert back is None or same(back, result(0))


def test_too_many_open_files_are_no_damage(folder):
    shipped = Packs(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        with pytest.raises(ReproducerError, match=r"cannot read .*a\.safetensors: Too many open"):
            shipped.get(result(0).key)
        with pytest.raises(ReproducerError, match="cannot read .*Too many open files"):
            Packs(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert same(shipped.get(result(0).key), result(0))


def test_a_pack_that_may_not_be_read_is_no_damage(folder, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.Path, "read_bytes", refused)
    with pytest.raises(ReproducerError, match="cannot read .*: Permission denied"):
        Packs(folder)


def test_a_damaged_shipped_result_is_taken_from_the_store(folder, tmp_path):
    store = Store(tmp_path / "store")
    store.put(result(0))
    (folder / "a.safetensors").write_bytes(b"")
    known = Known(store, Packs(folder))
    assert result(0).key in known.shipped and result(0).key in store
    assert same(known.get(spec(0)), result(0)) and known.get(spec(1)) is None
    assert spec(1) not in known


def test_a_smaller_budget_that_is_damaged_gives_way_to_the_next(tmp_path, caplog):
    budgets = (10, 20, 30)
    metrics = result(0).metrics | {"goes_on": True}
    fits = [result(0, spec=spec(0, max_steps=steps), metrics=metrics) for steps in budgets]
    pack(fits, "a", tmp_path)
    damaged = forged(fits[1])._replace(provenance="{}")
    unreadable = [damaged._replace(key=str(n), metrics=m) for n, m in enumerate(("[]", "", "5"))]
    rewrite(tmp_path, "a", [forged(fits[0]), damaged, forged(fits[2]), *unreadable])
    shipped, name = Packs(tmp_path), course(fits[0])
    assert shipped.smaller_budget(name, 40) == fits[2].key and not caplog.records
    assert shipped.smaller_budget(name, 30) == fits[0].key and "is damaged" in caplog.text
    assert shipped.smaller_budget(name, 10) is None
    assert shipped.smaller_budget("another", 40) is None


def test_every_shipped_result_is_sound(caplog):
    shipped = Packs(data_dir() / "results")
    assert len(shipped) > 1000
    assert all(shipped.get(key) is not None for key in shipped.keys()) and not caplog.records


def test_the_shipped_arrangements_are_the_ones_asked_for():
    params = load_params("arrangements", "smollm2")
    known = Known(shipped=Packs(data_dir() / "results"))
    assert all(spec in known for spec in wanted(params, known))


def test_what_is_shipped_stays_small():
    sizes = [path.stat().st_size for path in (data_dir() / "results").iterdir()]
    assert 0 < sum(sizes) < 64 << 20
