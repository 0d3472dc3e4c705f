"""Work divided by cost: every spec once, the same on every machine, and what belongs together."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import missing, wanted
from reproducer.readings.mem_vectors import MemSpec
from reproducer.results.fits import FitSpec
from reproducer.results.growth import GrowSpec
from reproducer.results.known import Known, Nothing
from reproducer.results.packs import Packs
from reproducer.results.run import compute
from reproducer.results.shards import Shard, cost, owners
from reproducer.results.specs import with_needs
from reproducer.results.store import Store
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import Text, load_texts
from tests.results.samples import raw, result, spec

TEXTS = [text.prefix(8) for text in load_texts("unseen", "tiny", 6, 8)]


def fit(number=0, n_tokens=2, steps=10, **changes):
    texts = (TEXTS[number].prefix(n_tokens),)
    fields = {"model": "tiny", "arrangement": "[e] [m]xN", "texts": texts}
    return FitSpec(**fields | {"recipe": Recipe(name="x", max_steps=steps)} | changes)


def grown(number=0, n_tokens=6, stages=(2, 4)):
    fields = {name: value for name, value in fit(number, n_tokens) if name != "kind"}
    return GrowSpec(**fields, stages=stages)


def loads(specs, owner, total):
    load = Counter(dict.fromkeys(range(1, total + 1), 0))
    for each in with_needs(specs):
        load[owner[each.key]] += cost(each)
    return load


WRONG = ["3/2", "0/2", "-1/2", "1/0", "1", "a/b", "1/2/3", "", "١/٢", "1/2 "]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_shard(text):
    with pytest.raises(ReproducerError, match="expected a shard i/k with i from 1 to k"):
        Shard.parse(text)


def test_a_shard():
    assert Shard.parse("2/4") == (2, 4) and str(Shard(2, 4)) == "2/4"


def test_cost_is_inputs_times_steps_times_sequences():
    one = cost(fit(0, 2, 10))
    assert cost(fit(0, 2, 30)) == 3 * one
    assert cost(fit(0, 5, 10)) == 2 * one  # 3 and 6 inputs: `e` predicts nothing
    assert cost(fit(0, 2, 10, copies=4)) == 4 * one
    pair = (TEXTS[0].prefix(2), TEXTS[1].prefix(2))
    assert cost(fit(0, 2, 10, texts=pair, share="m")) == 2 * one
    larger = fit(model="smollm2-135m", weights="w")
    assert cost(larger) > 100 * one


def test_cost_of_the_predecessor_counts_what_stands_before_the_text():
    common = {"model": "tiny", "recipe": Recipe(name="x", max_steps=10), "n_mem": 2}
    text = TEXTS[0].prefix(4)
    n_inputs = {"mem": 2 + 3, "bos": 2 + 1 + 3, "t1": 2 + 1 + 2}
    for first, n in n_inputs.items():
        size = MemSpec(text=text, first=first, **common).size
        assert (size.n_sequences, size.n_inputs) == (1, n)
        assert size.n_tokens == (3 if first == "t1" else 4)


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), st.integers(1, 7))
def test_every_spec_has_one_owner_and_shards_differ_by_one_unit_at_most(steps, total):
    specs = [
        fit(0, 2, n, texts=(Text(source="own", id=str(i), tokens=(1, 2)),), weights="w")
        for i, n in enumerate(steps)
    ]
    owner = owners(specs, specs, total)
    assert owner.keys() == {each.key for each in specs}
    load = loads(specs, owner, total)
    assert max(load.values()) - min(load.values()) <= max(map(cost, specs))
    shuffled = Random(0).sample(specs, len(specs))
    assert owners(shuffled, shuffled, total) == owner


def test_by_cost_and_not_by_count():
    specs = [fit(0, 2, 1000), *(fit(n, 2, 250) for n in range(1, 5))]
    owner = owners(specs, specs, 2)
    assert sorted(Counter(owner.values()).values()) == [1, 4]


def test_a_chain_of_growth_belongs_to_one_shard_whenever_its_stages_are_asked_for():
    """Each stage follows from the result of the one before."""
    first = [fit(n) for n in range(6)]
    start = owners(first, first, 3)
    for stages in ((2,), (2, 4)):
        asked = first + [grown(n, stages[-1] + 2, stages) for n in range(6)]
        owner = owners(first, asked, 3)
        assert owner == start | owner
        for n in range(6):
            chain = with_needs([grown(n, stages[-1] + 2, stages)])
            assert {owner[stage.key] for stage in chain} == {start[fit(n).key]}


def test_other_lengths_of_a_text_stay_with_it():
    first = [fit(n, 4) for n in range(6)]
    asked = first + [fit(n, 2 + n) for n in range(6)]
    owner = owners(first, asked, 3)
    assert all(owner[fit(n, 2 + n).key] == owner[fit(n, 4).key] for n in range(6))


def test_what_needs_results_of_several_shards_is_divided_by_itself():
    from reproducer.readings.curves import CurveSpec, End

    first = [fit(0, seed=seed) for seed in range(4)]
    pairs = [(a, b) for a in range(4) for b in range(a)]
    curves = [
        CurveSpec(
            model="tiny",
            recipe=first[0].recipe,
            ends=tuple(End(fit=first[i]) for i in pair),
        )
        for pair in pairs
    ]
    owner = owners(first, [*first, *curves], 2)
    assert sorted(loads(curves, owner, 2).values())  # every curve has an owner
    counts = Counter(owner[curve.key] for curve in curves)
    assert set(counts) == {1, 2}


@pytest.mark.parametrize("name", ["arrangements", "sharing", "information", "anchoring", "noise"])
def test_the_shards_of_an_experiment_are_all_of_it_whatever_is_stored(name, tmp_path):
    params, total = load_params(name, "smoke"), 3
    known = Known(Store(tmp_path / "a"), Packs(tmp_path / "none"))
    shards = [missing(params, known, Shard(number, total)) for number in range(1, total + 1)]
    keys = [each.key for specs in shards for each in specs]
    everything = {each.key for each in with_needs(wanted(params, Nothing()))}
    assert len(keys) == len(set(keys)) and set(keys) == everything
    assert sum(map(bool, shards)) >= 2


def test_what_is_stored_changes_no_owner(tmp_path):
    params = load_params("arrangements", "smoke")
    empty = Known(Store(tmp_path / "a"), Packs(tmp_path / "none"))
    some = Known(Store(tmp_path / "b"), Packs(tmp_path / "none"))
    before = missing(params, empty, Shard(1, 2))
    fits = [each for each in before if each.kind == "fit"][:3]
    for each in fits:
        some.store.put(stored(each))
    after = missing(params, some, Shard(1, 2))
    assert {each.key for each in before} - {each.key for each in after} == {
        each.key for each in fits
    }
    assert len(missing(params, some, Shard(2, 2))) == len(missing(params, empty, Shard(2, 2)))


def stored(asked):
    import numpy as np

    settled = asked.settled(lambda inner: "float32")
    correct = np.zeros((len(asked.sequences), asked.n_tokens), bool)
    arrays = {"rows": np.ones((2, 4), np.float32), "correct": correct}
    metrics = {"accuracy": [0.0] * len(correct), "loss_nats": [1.0] * len(correct)}
    arrays["nats"] = np.ones(correct.shape, np.float32)
    more = {"solved": False, "steps": 5, "seconds": 0.1}
    return result(spec=settled, metrics=metrics | more, arrays=arrays)


def test_a_shard_knows_the_store_in_use_and_writes_its_own(tmp_path):
    base, own = Store(tmp_path / "base"), Store(tmp_path / "own")
    base.put(result(0))
    base.close()
    known = Known(own, Packs(tmp_path / "none"), Store(tmp_path / "base", read_only=True))
    assert spec(0) in known and known.get(spec(0)).key == spec(0).key and spec(1) not in known
    known.store.put(result(1))
    assert spec(1) in known and len(own) == 1
    assert sorted(path.name for path in (tmp_path / "base").iterdir()) == ["results.sqlite"]
    assert len(known.digests([spec(0), spec(1), spec(2)])) == 2


def test_what_is_damaged_in_the_store_in_use_is_computed_again_by_the_shard(tiny, tmp_path, caplog):
    base = Store(tmp_path / "base")
    base.put(result(0))
    raw(base, "UPDATE results SET metrics = '{}'")
    known = Known(Store(tmp_path / "own"), Packs(tmp_path / "none"), Store(base.folder, True))
    (again,) = compute([spec(0)], known, progress=False)
    assert again.key == spec(0).key and len(known.store) == 1 and "is damaged" in caplog.text
    assert len(base) == 1  # as it was
