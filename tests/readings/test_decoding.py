"""Decoding: the fast ways give the tokens of the library's ways."""

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel, load_lm
from reproducer.models.zoo import MODELS, ModelEntry
from reproducer.readings import decoding
from reproducer.readings.decoding import CachedDecoder, library_generate, library_one_pass, one_pass

SMALL_NEOX = {
    "model_type": "gpt_neox",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 200,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


@pytest.fixture(params=["llama", "gpt_neox"])
def lm(request, tiny, monkeypatch) -> LanguageModel:
    if request.param == "llama":
        return tiny
    entry = ModelEntry(None, SMALL_NEOX)
    monkeypatch.setitem(MODELS, "small-neox", entry)
    return load_lm("random:small-neox", device="cpu", dtype="float32")


@pytest.mark.parametrize("n_tokens", [1, 7, 40])
def test_cached_decoding_equals_generate(lm, n_tokens):
    start = torch.randn(3, lm.d_model)
    ours = CachedDecoder(lm, 3, n_tokens).generate(start)
    assert torch.equal(ours, library_generate(lm, start[:, None], n_tokens))


def test_cached_decoding_can_be_repeated(tiny):
    decoder = CachedDecoder(tiny, 2, 9)
    first, second = torch.randn(2, 2, tiny.d_model)
    once = decoder.generate(first).clone()
    decoder.generate(second)
    assert torch.equal(decoder.generate(first), once)


def test_cached_decoding_does_not_depend_on_what_lies_behind_the_mask(tiny):
    decoder = CachedDecoder(tiny, 1, 6)
    start = torch.randn(1, tiny.d_model)
    sliced = decoder.generate(start).clone()
    decoder.graph = lambda: decoder._step(6)
    decoder.keys.fill_(1e3)
    assert torch.equal(decoder.generate(start), sliced)


def test_one_pass_equals_the_library(lm, monkeypatch):
    monkeypatch.setattr(decoding, "HEAD_ROWS", 5)
    x = torch.randn(2, 8, lm.d_model)
    ours = one_pass(lm, x, offset=1)
    assert ours.shape == (2, 7)
    assert torch.equal(ours, library_one_pass(lm, x, offset=1))


def test_a_family_without_lean_decoder_is_told(tiny):
    other = LanguageModel(tiny.card, tiny.hf, tiny.device, tiny.dtype)
    other._decoders[tiny.dtype] = torch.nn.Identity()
    with pytest.raises(ReproducerError, match="Llama or GPT-NeoX"):
        CachedDecoder(other, 1, 4)
