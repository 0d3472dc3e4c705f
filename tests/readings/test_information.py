"""H_LM against a float64 loop over tokens and against the library's own logits."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from reproducer.readings.information import CHUNK_TEXTS, h_lm_nats, token_nats
from reproducer.readings.surprisal import SurprisalSpec, TextInformation
from reproducer.results.run import cached_lm, compute
from reproducer.texts.sources import load_texts


@pytest.fixture
def tokens(tiny):
    texts = load_texts("unseen", "tiny", CHUNK_TEXTS + 1, 12)
    return torch.tensor([text.tokens[:12] for text in texts])


def test_equals_a_float64_loop(tiny, tokens):
    hf = copy.deepcopy(tiny.hf).double()
    expected = torch.zeros(3, 12, dtype=torch.float64)
    for i, text in enumerate(tokens[:3].tolist()):
        for n in range(12):
            read = torch.tensor([[tiny.bos_token_id, *text[:n]]])
            logits = hf(input_ids=read).logits[0, -1]
            expected[i, n] = math.log(sum(math.exp(z) for z in logits.tolist())) - logits[text[n]]
    torch.testing.assert_close(
        token_nats(tiny, tokens[:3]).double(), expected, rtol=1e-5, atol=1e-5
    )


def test_equals_the_librarys_logits(tiny, tokens):
    start = torch.full((len(tokens), 1), tiny.bos_token_id)
    logits = tiny.hf(input_ids=torch.cat([start, tokens[:, :-1]], dim=1)).logits
    expected = F.cross_entropy(logits.mT, tokens, reduction="none")
    torch.testing.assert_close(token_nats(tiny, tokens), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(h_lm_nats(tiny, tokens), expected.sum(1), rtol=1e-4, atol=1e-4)


def test_a_prefix_costs_what_it_costs_in_the_whole(tiny):
    text = load_texts("unseen", "tiny", 1, 20)[0].prefix(20)
    (result,) = compute([SurprisalSpec(model="tiny", text=text)], progress=False)
    known = TextInformation.of(result)
    lm = cached_lm("tiny")
    for n in (1, 7, 20):
        columns = known.columns(n)
        alone = h_lm_nats(lm, torch.tensor([text.prefix(n).tokens])).item()
        assert columns["h_lm_nats"] == pytest.approx(alone, rel=1e-4)
        assert columns["characters"] == len(lm.tokenizer.decode(text.tokens[:n]))
        bits = alone / math.log(2) / columns["characters"]
        assert columns["bits_per_character"] == pytest.approx(bits, rel=1e-4)
    assert known.columns(0)["h_lm_nats"] == 0


def test_one_bit_a_character():
    information = TextInformation(h_lm_nats=[0.0, 4 * math.log(2)], characters=[0, 4])
    assert information.columns(1)["bits_per_character"] == pytest.approx(1.0)
    assert math.isnan(information.columns(0)["bits_per_character"])
