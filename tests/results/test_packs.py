"""Packs: what is packed comes back, and is found before anything is computed."""

import sys

import pytest
import torch

from reproducer import compute as compute_function
from reproducer import load_params
from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS, arrangements, experiment
from reproducer.experiments.profiles import SHIPPED
from reproducer.paths import data_dir
from reproducer.results import packs as shipped
from reproducer.results.run import stored
from reproducer.results.store import Store


def test_packed_results_come_back_and_nothing_is_computed(tmp_path, monkeypatch):
    specs = arrangements.specs(load_params("arrangements", "smoke"))
    results = compute_function(specs, progress=False)
    shipped.pack(results, "arrangements", tmp_path)
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "empty"))
    # By its module: the package exports the function under the same name.
    module = sys.modules["reproducer.results.run"]
    monkeypatch.setattr(module, "shipped", lambda: shipped.Shipped(tmp_path))

    def forbidden(*arguments):
        raise AssertionError("a shipped result was computed again")

    monkeypatch.setattr(module, "_computed", lambda specs, *_: map(forbidden, specs))
    again = compute_function(specs, progress=False)
    assert len(stored(specs)) == len(specs) and not list(Store().keys())
    for a, b in zip(results, again, strict=True):
        assert (a.key, a.spec, a.metrics, a.provenance) == (b.key, b.spec, b.metrics, b.provenance)
        assert a.arrays.keys() == b.arrays.keys()
        assert all(torch.equal(a.arrays[k], b.arrays[k]) for k in a.arrays)


def test_a_folder_without_packs_is_empty(tmp_path):
    assert len(shipped.Shipped(tmp_path)) == 0
    assert shipped.Shipped(tmp_path).get("0" * 64) is None
    with pytest.raises(ReproducerError, match="expected results to pack"):
        shipped.pack([], "x", tmp_path)


def test_the_folder_can_be_another_one(tmp_path, monkeypatch):
    assert shipped.shipped_dir() == data_dir() / "results"
    monkeypatch.setenv("REPRODUCER_SHIPPED", str(tmp_path))
    shipped.shipped.cache_clear()
    try:
        assert len(shipped.shipped()) == 0
    finally:
        shipped.shipped.cache_clear()

@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_rerun_of_the_shipped_profile_computes_nothing(name):
    specs = experiment(name).specs(load_params(name, SHIPPED))
    missing = [spec.kind for spec in specs if spec.key not in shipped.shipped()]
    assert specs and not missing
    assert len(experiment(name).collect(load_params(name, SHIPPED), compute_missing=False))


def test_what_is_shipped_stays_small():
    sizes = [path.stat().st_size for path in shipped.shipped_dir().iterdir()]
    assert 0 < sum(sizes) < 40e6
