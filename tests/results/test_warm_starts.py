"""Warm starts: made by one command, found by name, named exactly in the key."""

import os

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from reproducer import FitSpec, Text
from reproducer.app import warm_start as making
from reproducer.errors import ReproducerError
from reproducer.results import warm_starts
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.results.warm_starts import (
    SHARED_12,
    vector_digest,
    warm_m,
    warm_start_digest,
    write_warm_start,
)
from reproducer.solver.recipes import RECIPES, Recipe

WARM = Recipe(name="x", warm_m=SHARED_12, max_steps=10)
TEXT = Text(source="own", id="a", tokens=(1, 2, 3))


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    """Warm starts are written to a folder of the test, and read anew."""
    monkeypatch.setattr(warm_starts, "data_dir", lambda: tmp_path)
    warm_starts._vector.cache_clear()
    yield
    warm_starts._vector.cache_clear()


def fit(**changes):
    fields = {"model": "tiny", "dtype": "float32", "arrangement": "[e] [m]xN", "texts": (TEXT,)}
    return FitSpec(**fields | {"recipe": WARM} | changes)


def written(value=1.0, width=32):
    vector = np.full(width, value, np.float32)
    return write_warm_start(SHARED_12, "tiny", vector, {"key": "k"})


def test_made_once_and_used_for_every_m(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "RECIPE", Recipe(name="warm-start", lr=0.03, max_steps=10))
    making.make_warm_start("tiny")
    (stored,) = compute([making.warm_start_spec("tiny")], progress=False)
    digest = warm_start_digest(SHARED_12, "tiny")
    m = warm_m(SHARED_12, "tiny", digest, 32)
    assert m.tolist() == stored.arrays["rows"][-1].tolist()
    rows = fit(texts=(TEXT, TEXT)).problem(tiny).rows
    assert torch.equal(rows[2], m) and torch.equal(rows[3], m)
    plain = fit(texts=(TEXT, TEXT), recipe=RECIPES["paper"]).problem(tiny).rows
    assert torch.equal(rows[:2], plain[:2]) and not torch.equal(plain[2], m)


def test_another_vector_gives_another_key_and_old_results_are_not_used(tiny):
    written(1.0)
    before = fit()
    first = compute([before], progress=False)
    written(2.0)
    assert fit().key != before.key and fit() not in Known() and before in Known()
    # What was planned with the old one is not computed with the new one.
    with pytest.raises(ReproducerError, match="another vector than the one asked for"):
        before.problem(tiny)
    written(1.0)
    assert fit().key == before.key == first[0].key


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_the_old_one_stays_if_the_disk_fails(tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError("no space left")

    path, digest = written(1.0), warm_start_digest(SHARED_12, "tiny")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="no space left"):
        written(2.0)
    assert warm_start_digest(SHARED_12, "tiny") == digest and list(path.parent.iterdir()) == [path]


def test_a_recipe_without_one_names_none():
    assert fit(recipe=RECIPES["paper"]).warm_start == ""
    assert warm_start_digest("", "tiny") == ""


def test_a_model_without_one_is_told_what_to_do():
    with pytest.raises(ReproducerError, match="make one with `reproduce warm-start tiny`"):
        fit()


def test_a_vector_of_another_width(tiny):
    written(width=31)
    with pytest.raises(ReproducerError, match=r"a vector of width 32, got shape \(31,\)"):
        fit().problem(tiny)


@pytest.mark.parametrize(
    "arrays",
    [
        {"n": np.ones(32, np.float32)},
        {"m": np.ones((2, 16), np.float32)},
        {"m": np.ones(32)},
        {"m": np.array([1.0, np.nan], np.float32)},
        None,
    ],
)
def test_a_damaged_file(arrays):
    path = written()
    warm_starts._vector.cache_clear()
    save_file(arrays, path) if arrays else path.write_bytes(b"no tensors")
    with pytest.raises(ReproducerError, match="the warm start .* is damaged"):
        fit()


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.99])
def test_a_file_that_was_cut(share):
    path = written()
    warm_starts._vector.cache_clear()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ReproducerError, match="the warm start .* is damaged"):
        fit()


def test_a_folder_in_its_place():
    path = written()
    warm_starts._vector.cache_clear()
    path.unlink()
    path.mkdir()
    with pytest.raises(ReproducerError, match="the warm start .* is damaged"):
        fit()


def test_the_embedded_model_has_one(monkeypatch):
    monkeypatch.undo()
    warm_starts._vector.cache_clear()
    m = warm_m(SHARED_12, "smollm2-135m", warm_start_digest(SHARED_12, "smollm2-135m"), 576)
    assert m.shape == (576,) and m.dtype == torch.float32 and m.std() > 0
    assert vector_digest(m.numpy()) == warm_start_digest(SHARED_12, "smollm2-135m")
