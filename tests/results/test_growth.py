"""Growth on the tiny model: starts, keys, resuming, batches."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from reproducer.readings.mem_vectors import GreedySpec, MemGrowSpec, MemSpec
from reproducer.results.fits import FitSpec
from reproducer.results.growth import GrowSpec
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.results.store import Store
from reproducer.solver.recipes import RECIPES, Recipe
from reproducer.texts.sources import load_texts

RECIPE = Recipe(name="test", lr=0.05, max_steps=30, restart_every=10)
TEXTS = tuple(text.prefix(8) for text in load_texts("unseen", "tiny", 3, 8))


def grown(stages=(2, 4), n_tokens=6, number=0, **fields):
    base = {"model": "tiny", "arrangement": "[e] [m]xN", "recipe": RECIPE, "dtype": "float32"}
    texts = {"texts": (TEXTS[number].prefix(n_tokens),)}
    return GrowSpec(**base | texts | fields, stages=stages)


def grown_mem(stages=(2, 4), n_tokens=6, **fields):
    base = {"model": "tiny", "n_mem": 2, "recipe": RECIPE, "dtype": "float32", "first": "bos"}
    return MemGrowSpec(**base | {"text": TEXTS[0].prefix(n_tokens)} | fields, stages=stages)


def chain(spec):
    stages = [spec]
    while isinstance(stages[-1], GrowSpec | MemGrowSpec):
        stages.append(stages[-1].former)
    return stages[::-1]


@pytest.mark.parametrize("spec", [grown(), grown_mem()], ids=["e and m", "mem"])
def test_stages_name_all_earlier_fits(spec):
    first, second, third = chain(spec)
    assert [stage.n_tokens for stage in (first, second, third)] == [2, 4, 6]
    assert type(first) in (FitSpec, MemSpec) and type(second) is type(third) is type(spec)
    assert second.stages == (2,) and third.stages == (2, 4)
    for stage in (first, second):
        assert (stage.recipe, stage.seed, stage.dtype) == (spec.recipe, spec.seed, spec.dtype)
    # The first stage is the very fit that anyone else would ask for.
    fields = {k: v for k, v in spec if k not in ("kind", "stages")}
    direct = type(first)(**fields | spec.prefix_fields(2))
    assert direct.key == first.key


def test_keys_tell_histories_apart():
    keys = {
        spec.key for spec in (grown(), grown((4,)), grown((2, 5)), grown((3, 4)), grown(seed=1))
    }
    assert len(keys) == 5
    # Beyond what the text and the stages say, a key holds nothing of earlier fits.
    assert len(grown().model_dump_json()) - len(chain(grown())[0].model_dump_json()) < 60


@pytest.mark.parametrize("spec", [grown(), grown_mem()], ids=["e and m", "mem"])
def test_each_stage_starts_at_the_former_solution_and_never_again(tiny, spec):
    known = Known()
    compute([spec], known, progress=False)
    *_, former, last = chain(spec)
    solution = known.get(former).arrays["rows"]
    problem = last.problem(tiny, [known.get(former)])
    np.testing.assert_array_equal(problem.rows.numpy(), solution)
    assert problem.restarts is None and problem.targets.shape[1] == 6
    fresh = chain(spec)[0].problem(tiny, ())
    assert not torch.equal(fresh.rows, problem.rows)
    assert fresh.restarts is not None or spec.kind == "mem_grow"


def test_growth_resumes_between_stages(tiny, tmp_path):
    known = Known()
    first, second, third = chain(grown())
    compute([second], known, progress=False)
    assert first in known and second in known and third not in known
    seconds = known.get(second).metrics["seconds"]
    (whole,) = compute([third], known, progress=False)
    assert known.get(second).metrics["seconds"] == seconds
    (at_once,) = compute([third], Known(Store(tmp_path)), progress=False)
    np.testing.assert_array_equal(whole.arrays["rows"], at_once.arrays["rows"])


def test_stages_of_many_texts_share_batches(tiny, tmp_path):
    together = compute([grown(number=n) for n in range(3)], progress=False)
    for n, result in enumerate(together):
        apart = Known(Store(tmp_path / str(n)))
        (alone,) = compute([grown(number=n)], apart, progress=False)
        np.testing.assert_allclose(result.arrays["rows"], alone.arrays["rows"], atol=1e-4)


def test_a_dtype_that_is_not_told_is_that_of_the_former_stage(tiny):
    known = Known()
    former = chain(grown())[1]
    compute([former], known, progress=False)
    asked = grown(dtype="auto")
    assert known.settled(asked).dtype == "float32" and asked not in known
    assert known.settled(asked).former.key == former.key


def test_groups_grow_together(tiny):
    spec = grown(texts=TEXTS, n_tokens=8, stages=(2, 4), share="m")
    (result,) = compute([spec], progress=False)
    assert result.arrays["rows"].shape[0] == 4
    assert [len(text.tokens) for text in spec.former.texts] == [4, 4, 4]


def test_decoding_reads_grown_vectors(tiny):
    (result,) = compute([GreedySpec(model="tiny", fits=(grown_mem(),))], progress=False)
    assert result.arrays["correct"].shape == (1, 6)


@pytest.mark.parametrize("stages", [(), (4, 2), (2, 2), (2, 6), (0, 2)])
def test_stages_ascend_below_the_text(stages):
    with pytest.raises(ValidationError):
        grown(stages)


def test_the_recipe_is_data_like_the_others():
    assert RECIPES["grow"].lr == 0.03 and RECIPES["grow"].max_steps == 300
