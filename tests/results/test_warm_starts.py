"""Warm starts: made by one command, found by name, part of the key."""

import pytest
import torch

from reproducer import FitSpec, Text, compute
from reproducer.errors import ReproducerError
from reproducer.results import warm_starts as warm_start
from reproducer.solver.recipes import RECIPES, Recipe

WARM = Recipe(name="x", warm_m=warm_start.SHARED_12, max_steps=10)
TEXT = Text(source="own", id="a", tokens=(1, 2, 3))


def test_made_once_and_used_for_every_m(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(warm_start, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(warm_start, "RECIPE", Recipe(name="warm-start", lr=0.03, max_steps=10))
    warm_start.make_warm_start("tiny")
    (stored,) = compute([warm_start.warm_start_spec("tiny")], progress=False)
    m = warm_start.warm_m(warm_start.SHARED_12, "tiny")
    assert torch.equal(m, stored.arrays["rows"][-1])
    group = {"model": "tiny", "arrangement": "[e] [m]xN", "texts": (TEXT, TEXT), "recipe": WARM}
    rows = FitSpec(**group).problem(tiny).rows
    assert torch.equal(rows[2], m) and torch.equal(rows[3], m)
    plain = FitSpec(**group | {"recipe": RECIPES["paper"]}).problem(tiny).rows
    assert torch.equal(rows[:2], plain[:2]) and not torch.equal(plain[2], m)
    warm_start.warm_m.cache_clear()


def test_a_model_without_one_is_told_what_to_do(tiny):
    spec = FitSpec(model="tiny", arrangement="[e] [m]xN", texts=(TEXT,), recipe=WARM)
    with pytest.raises(ReproducerError, match="make one with `reproduce warm-start tiny`"):
        spec.problem(tiny)


def test_the_embedded_model_has_one():
    m = warm_start.warm_m(warm_start.SHARED_12, "smollm2-135m")
    assert m.shape == (576,) and m.dtype == torch.float32 and m.std() > 0
