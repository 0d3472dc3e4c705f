"""Read-out: prompts, generation against the library, distinct n-grams by hand."""

import pytest
import torch

from reproducer.experiments import readout as experiment
from reproducer.experiments.profiles import load_params
from reproducer.models.sampling import write_after
from reproducer.readings.readout import ReadoutSpec, distinct, prompts
from reproducer.results.run import compute
from reproducer.results.solutions import proto_tokens


@pytest.fixture
def fits():
    return experiment.fits(load_params("readout", "smoke", max_steps=3))


def test_greedy_writing_equals_generate(tiny):
    start = torch.randn(3, 2, tiny.d_model)
    special = sorted(set(tiny.tokenizer.all_special_ids) | {tiny.bos_token_id})
    theirs = tiny.hf.generate(
        inputs_embeds=start,
        attention_mask=torch.ones(3, 2, dtype=torch.long),
        max_new_tokens=9,
        do_sample=False,
        suppress_tokens=special,
        pad_token_id=0,
    )
    assert torch.equal(write_after(tiny, start, 9, [0] * 3, temperature=0), theirs)


def test_a_row_does_not_depend_on_its_neighbours(tiny):
    start = torch.randn(3, 1, tiny.d_model)
    together = write_after(tiny, start, 8, [5, 6, 7])
    alone = write_after(tiny, start[1:2], 8, [6])
    assert torch.equal(together[1:2], alone)


def test_prompts_are_made_of_the_solution(tiny, fits):
    results = compute(fits, progress=False)
    e, m = torch.from_numpy(proto_tokens(fits[1], results[1])[0])
    found = prompts(tiny, results, "BOS e m")[1]
    bos = tiny.embed(torch.tensor(tiny.bos_token_id))
    torch.testing.assert_close(found, torch.stack([bos, e, m]))
    text = prompts(tiny, results, "BOS text")[1, 1:]
    torch.testing.assert_close(text, tiny.embed(torch.tensor(fits[1].texts[0].tokens)))


def test_an_unknown_prompt_is_refused(fits):
    with pytest.raises(ValueError, match="prompt"):
        ReadoutSpec(model="tiny", fits=tuple(fits), prompt="m e", n_new_tokens=3)


def test_distinct_n_by_hand():
    assert distinct([1, 2, 1, 2], 1) == 0.5
    assert distinct([1, 2, 1, 2], 2) == pytest.approx(2 / 3)
    assert distinct([1], 2) == 1.0
