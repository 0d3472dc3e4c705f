"""What is known: packs before the store, and either dtype for a spec that leaves it open."""

import sys
from collections.abc import Sequence
from typing import Literal

import pytest

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.readings.first_position import PositionSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.packs import Packs, pack
from reproducer.results.run import compute
from reproducer.results.specs import Outcome, Result, Spec
from reproducer.results.store import Store
from tests.results.samples import raw, result, same, spec

run = sys.modules["reproducer.results.run"]


class LikenessSpec(Spec):
    """How far apart the two rows of a fit are: a reading that follows its fit's dtype."""

    kind: Literal["likeness"] = "likeness"
    fit: FitSpec

    @property
    def needs(self):
        return (self.fit,)

    def run(self, lm, needed: Sequence[Result]) -> Outcome:
        rows = needed[0].arrays["rows"]
        return Outcome({"distance": float(abs(rows[0] - rows[1]).sum())}, {"first": rows[0]})


class MeasuredSpec(LikenessSpec):
    kind: Literal["measured"] = "measured"
    dtype: Literal["float32"] = "float32"


@pytest.fixture
def known(tmp_path):
    return Known(Store(tmp_path / "store"), Packs(tmp_path / "none"))


@pytest.fixture
def fastest(monkeypatch):
    def is_now(dtype):
        monkeypatch.setattr(run, "fastest_dtype", lambda device: dtype)

    return is_now


def open_fit(**changes):
    return spec(0, 10, dtype="auto", **changes)


def in_dtype(dtype, **changes):
    asked = spec(0, 10, dtype=dtype, **changes)
    return result(0, spec=asked)


def test_the_key_of_a_question_is_no_results_key():
    assert len({spec(0, dtype=d).key for d in ("auto", "float32", "bfloat16")}) == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_stored_result_of_either_dtype_is_taken(known, dtype):
    assert open_fit() not in known and known.get(open_fit()) is None
    known.store.put(in_dtype(dtype))
    assert open_fit() in known and same(known.get(open_fit()), in_dtype(dtype))
    assert known.settled(open_fit()).dtype == dtype
    assert spec(0, dtype="bfloat16" if dtype == "float32" else "float32") not in known


def test_of_both_the_same_one_is_taken_everywhere(known):
    for dtype in ("float32", "bfloat16"):
        known.store.put(in_dtype(dtype))
    assert known.get(open_fit()).spec["dtype"] == "bfloat16"


def test_packs_come_before_the_store(tmp_path):
    ours, theirs = in_dtype("bfloat16"), result(0, spec=spec(0, dtype="bfloat16"))
    theirs.metrics["seconds"] = 9.0
    pack([theirs], "a", tmp_path / "packs")
    known = Known(Store(tmp_path / "store"), Packs(tmp_path / "packs"))
    known.store.put(ours)
    assert same(known.get(open_fit()), theirs)
    assert known.digests([open_fit()]) == [f"{ours.key} {known.shipped.digest(ours.key)}"]
    assert [r.key for r in known.all([spec(5), open_fit(), spec(6)])] == [ours.key]


def test_facts_of_every_source_come_once(tmp_path):
    pack([result(0), result(1)], "a", tmp_path / "packs")
    base, own = Store(tmp_path / "base"), Store(tmp_path / "store")
    for number in (1, 2):
        base.put(result(number))
    for number in (0, 2, 3):
        own.put(result(number))
    facts = list(Known(own, Packs(tmp_path / "packs"), base).facts())
    assert sorted(r.key for r in facts) == sorted(result(number).key for number in range(4))
    assert not any(r.arrays for r in facts)


@pytest.mark.parametrize("here", ["float32", "bfloat16"])
@pytest.mark.parametrize("there", ["float32", "bfloat16"])
def test_nothing_shipped_is_computed_again_where_another_dtype_is_fastest(
    tmp_path, tiny, fastest, monkeypatch, here, there
):
    """Fits and what is read off them, on a machine where the other dtype is the fastest."""
    fastest(there)
    specs = [open_fit(), LikenessSpec(model="tiny", fit=open_fit())]
    specs.append(MeasuredSpec(model="tiny", fit=open_fit()))
    first = compute(specs, Known(Store(tmp_path / "there"), Packs(tmp_path)), progress=False)
    assert [r.spec["dtype"] for r in first] == [there, there, "float32"]
    assert all(r.spec["fit"]["dtype"] == there for r in first[1:])
    pack(first, "a", tmp_path / "packs")

    fastest(here)
    known = Known(Store(tmp_path / "here"), Packs(tmp_path / "packs"))
    assert all(asked in known for asked in specs)
    again = compute(specs, known, progress=False)
    assert all(same(a, b) for a, b in zip(again, first, strict=True)) and len(known.store) == 0


def test_a_new_reading_follows_the_dtype_of_its_fit(known, tiny, fastest):
    known.store.put(in_dtype("bfloat16"))
    fastest("float32")
    asked = LikenessSpec(model="tiny", fit=open_fit())
    assert asked not in known
    (reading,) = compute([asked], known, progress=False)
    assert reading.spec["fit"]["dtype"] == reading.spec["dtype"] == "bfloat16"
    assert len(known.store) == 2


def test_a_new_fit_is_computed_in_the_fastest(known, tiny, fastest):
    fastest("bfloat16")
    (fitted,) = compute([open_fit()], known, progress=False)
    assert fitted.spec["dtype"] == fitted.provenance["dtype"] == "bfloat16"


def test_what_is_damaged_is_computed_again_in_the_same_call(known, tiny, caplog):
    asked = LikenessSpec(model="tiny", dtype="float32", fit=spec(0))
    first = compute([spec(0), asked], known, progress=False)
    for damaged in ([spec(0)], [asked], [spec(0), asked]):
        for each in damaged:
            raw(known.store, "UPDATE results SET metrics = '{}' WHERE key = ?", each.key)
        again = compute([asked, spec(0)], known, progress=False)
        assert again[0].metrics == first[1].metrics
        assert again[1].metrics["accuracy"] == first[0].metrics["accuracy"]
    assert "is damaged" in caplog.text


def test_a_damaged_need_is_computed_again(known, tiny, caplog):
    compute([spec(0)], known, progress=False)
    raw(known.store, "UPDATE results SET arrays = x'00'")
    asked = LikenessSpec(model="tiny", dtype="float32", fit=spec(0))
    (reading,) = compute([asked], known, progress=False)
    assert reading.metrics["distance"] > 0 and "arrays cannot be read" in caplog.text


def test_weights_of_another_digest_are_refused(known, tiny):
    other = spec(0, weights="files:0000")
    with pytest.raises(ValueError, match="expected the weights files:0000, got untrained:"):
        compute([other], known, progress=False)
    assert model_card("tiny").weights == spec(0).weights


def test_a_process_may_be_kept_from_computing(monkeypatch):
    position = PositionSpec(model="tiny", n_inputs=2, n_draws=2)
    monkeypatch.setenv("REPRODUCER_COMPUTE", "never")
    with pytest.raises(ReproducerError, match="1 results are missing.*'positions'.*never"):
        compute([position], progress=False)
    monkeypatch.delenv("REPRODUCER_COMPUTE")
    (first,) = compute([position], progress=False)
    monkeypatch.setenv("REPRODUCER_COMPUTE", "never")
    assert compute([position], progress=False)[0].key == first.key
