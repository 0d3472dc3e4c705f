"""Words reached from a position: the fit against the library's model; the clamp's limits."""

import pytest
import torch
from pydantic import ValidationError

from reproducer import compute
from reproducer.readings.clamping import ClampedSpec, usual_norms
from reproducer.readings.reach import ReachSpec
from reproducer.results.specs import Outcome
from reproducer.solver.recipes import recipe

RULE = recipe("grow", 60)


def spec(word=7, **fields):
    return ReachSpec(model="tiny", recipe=RULE, word=word, **fields)


@pytest.mark.parametrize("before", [(), (256,), (256, 3)])
def test_what_is_reached_is_what_the_model_says_there(tiny, before):
    specs = [spec(word, before=before) for word in (7, 40, 99)]
    results = compute(specs, progress=False)
    assert any(result.metrics["accuracy"][0] == 1 for result in results)
    for one, result in zip(specs, results, strict=True):
        given = tiny.embed(torch.tensor(before, dtype=torch.long))
        x = torch.cat([given, torch.from_numpy(result.arrays["rows"])])[None]
        said = tiny.hf(inputs_embeds=x).logits[0, -1].argmax().item()
        assert (said == one.word) == bool(result.metrics["accuracy"][0])


def test_starts_differ_by_word_and_seed_alone(tiny):
    specs = spec(7), spec(7, before=(3,)), spec(8), spec(7, seed=1)
    start = [one.problem(tiny).rows for one in specs]
    assert torch.equal(start[0], start[1])
    assert not torch.equal(start[0], start[2]) and not torch.equal(start[0], start[3])


def test_limits_are_the_later_positions_lengths():
    norms = torch.arange(1.0, 13).view(3, 4).numpy()  # embedding and two blocks, four positions
    assert usual_norms(Outcome({}, {"words_norm": norms})).tolist() == [7.5, 7.5]


def test_clamped_fits_report_each_fit():
    fits = (spec(7), spec(40))
    clamped = ClampedSpec(model="tiny", fits=fits)
    (result,) = compute([clamped], progress=False)
    assert len(result.metrics["first"]) == len(result.metrics["accuracy"]) == 2
    assert result.metrics["first"] == [a == 1 for a in result.metrics["accuracy"]]
    assert result.arrays["rows_001"].shape == (1, 32)


def test_fits_of_two_recipes_are_refused():
    other = ReachSpec(model="tiny", recipe=recipe("paper", 60), word=7)
    with pytest.raises(ValidationError, match="one recipe"):
        ClampedSpec(model="tiny", fits=(spec(), other))


def test_fits_of_a_fixed_dtype_are_refused():
    with pytest.raises(ValidationError, match="left open"):
        ClampedSpec(model="tiny", fits=(spec(dtype="float32"),))
