"""Recipes: where fits start, and that stored results keep their keys."""

import json

import numpy as np
import pyarrow.parquet
import pytest
import torch
from pydantic import ValidationError

from reproducer.experiments.base import fit_frame
from reproducer.experiments.profiles import load_params
from reproducer.paths import shipped_dir
from reproducer.readings.mem_vectors import MemSpec
from reproducer.results.fits import FitSpec
from reproducer.results.run import compute
from reproducer.results.vectors import with_vectors
from reproducer.solver.adamw import adamw_step
from reproducer.solver.recipes import RECIPES, Recipe, recipe, scaled
from reproducer.texts.sources import Text

TEXTS = tuple(Text(source="own", id=i, tokens=(k, k + 1)) for k, i in enumerate("abc"))


def fit(name, texts=TEXTS, **fields):
    return FitSpec(
        model="tiny", arrangement="[e] [m]xN", texts=texts, recipe=RECIPES[name], **fields
    )


def recipes_in(data):
    """Every recipe anywhere in a spec's JSON."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    if isinstance(data, dict) and "recipe" in data:
        yield data["recipe"]
    for value in inner:
        yield from recipes_in(value)


def test_stored_recipes_are_written_as_they_were():
    tables = (
        pyarrow.parquet.read_table(t, columns=["spec"]) for t in shipped_dir().glob("*.parquet")
    )
    specs = [json.loads(text) for table in tables for text in table["spec"].to_pylist()]
    stored = [data for spec in specs for data in recipes_in(spec)]
    assert len(stored) > 100
    assert all(Recipe(**data).model_dump(mode="json") == data for data in stored)


def test_only_an_unusual_start_is_written():
    assert "start" not in RECIPES["paper"].model_dump()
    written = RECIPES["canonical"].model_dump(mode="json")
    assert written["start"] == "common" and Recipe(**written) == RECIPES["canonical"]
    assert recipe("canonical", max_steps=7).start == "common"
    changed = RECIPES["canonical"].model_copy(update={"start": "own"})
    other = fit("canonical").model_copy(update={"recipe": changed})
    assert other.key != fit("canonical").key


def test_a_common_start_is_the_same_for_every_text_and_company(tiny):
    rows = fit("canonical").problem(tiny).rows
    assert torch.equal(rows[0], rows[1]) and torch.equal(rows[3], rows[5])
    assert not torch.equal(rows[0], rows[3])
    alone = fit("canonical", TEXTS[1:2]).problem(tiny).rows
    assert torch.equal(alone, rows[[0, 3]])
    shared = fit("canonical", share="m").problem(tiny).rows
    assert torch.equal(shared, rows[[0, 1, 2, 3]])
    assert not torch.equal(rows, fit("canonical", seed=1).problem(tiny).rows)


def test_an_own_start_is_another_for_every_text(tiny):
    assert len(fit("paper").problem(tiny).rows.unique(dim=0)) == 6


def test_copies_start_apart_but_alike_for_all_texts(tiny):
    rows = fit("canonical", copies=2).problem(tiny).rows[:6]
    assert torch.equal(rows[0], rows[2]) and torch.equal(rows[1], rows[5])
    assert not torch.equal(rows[0], rows[1])


def test_mem_vectors_start_at_one_point_too(tiny):
    def start(name, text):
        return MemSpec(model="tiny", text=text, n_mem=2, recipe=RECIPES[name]).problem(tiny).rows

    assert torch.equal(start("canonical", TEXTS[0]), start("canonical", TEXTS[1]))
    assert not torch.equal(start("paper", TEXTS[0]), start("paper", TEXTS[1]))


def test_a_common_start_has_no_restarts():
    with pytest.raises(ValidationError, match="no restarts"):
        Recipe(name="x", start="common", restart_every=100)
    with pytest.raises(ValidationError, match="start"):
        Recipe(name="x", start="elsewhere")


def test_displacement_is_counted_from_the_start(tiny):
    spec = fit("canonical", share="m").model_copy(
        update={"recipe": recipe("canonical", max_steps=10)}
    )
    results = compute([spec], progress=False)
    frame = fit_frame(results, load_params("arrangements", "smoke"))
    moved = with_vectors(frame, results, from_start=True)
    ended = with_vectors(frame, results)
    start = spec.problem(tiny).rows.double().numpy()
    for s in range(3):
        np.testing.assert_allclose(ended["e"][s] - moved["e"][s], start[s], atol=1e-12)
        np.testing.assert_allclose(ended["m"][s] - moved["m"][s], start[3], atol=1e-12)
        assert np.abs(moved["e"][s]).max() <= 10 * 0.004 * 1.5


def test_a_longer_start_takes_the_same_steps_in_proportion(tiny):
    """A linear model of one vector: the losses of its own gradient do not know the scale."""
    ends = []
    for scale in (1.0, 30.0):
        rule = scaled(recipe("cold"), scale)
        rows = torch.full((1, 1, 4), rule.init_std)
        moments = [torch.zeros_like(rows) for _ in range(2)]
        for step in range(1, 6):
            slope = torch.linspace(-1, 1, 4) / scale
            adamw_step(rows, slope.expand_as(rows), *moments, torch.tensor([step]), rule)
        ends.append(rows / scale)
    torch.testing.assert_close(*ends)


def test_long_is_cold_from_longer_starts():
    scale = RECIPES["long"].init_std / RECIPES["cold"].init_std
    written = RECIPES["long"].model_dump()
    assert scaled(RECIPES["cold"], scale).model_dump() | {"name": "long"} == written | {
        "lr": pytest.approx(written["lr"], rel=1e-15)
    }
