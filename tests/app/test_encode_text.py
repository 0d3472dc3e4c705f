"""The command `text --encode`: one pass through a stored encoder, or one clear line."""

import json

import pytest
import torch

from reproducer import compute, load_params
from reproducer.app.encode_text import encode_text, marked
from reproducer.encoder.network import features
from reproducer.errors import ReproducerError
from reproducer.experiments.encoder import encoder
from reproducer.models.language_model import load_lm
from reproducer.readings.encoder import trained
from tests.app.calls import called


@pytest.fixture
def stored():
    """The encoders of the profile `smoke`, for one token and for two."""
    params = load_params("encoder", "smoke")
    return [compute([encoder(params, stage)], progress=False)[0] for stage in (1, 2)]


def test_what_comes_is_what_the_library_decodes(stored):
    encoded = encode_text("hey", n_tokens=2, model="tiny", profile="smoke")
    lm = load_lm("tiny")
    tokens = torch.tensor([lm.tokenizer.encode("hey")[:2]])
    network = trained(encoder(load_params("encoder", "smoke")), stored[1], lm.d_model)
    with torch.no_grad():
        e = network(features(lm, "embeddings", tokens))
        came = lm.hf(inputs_embeds=torch.stack([e, network.m[None]], 1)).logits.argmax(-1)
    assert encoded.reconstructed == lm.tokenizer.decode(came[0].tolist())
    assert encoded.accuracy == float((came == tokens).float().mean())
    assert encoded.encoder.key == stored[1].key
    facts = encoded.summary()
    assert facts["n_tokens"] == 2 and facts["arrangement"] == "[e] [m]x(N-1)"
    assert "without a fit" in marked(encoded, 1.0).plain
    json.dumps(facts)


def test_lengths_without_an_encoder_name_those_with_one(stored):
    with pytest.raises(
        ReproducerError, match="for 3 tokens is stored: expected one of the lengths 1, 2;"
    ):
        encode_text("hello", n_tokens=3, model="tiny", profile="smoke")


def test_without_any_encoder():
    with pytest.raises(ReproducerError, match="expected one of the lengths none;"):
        encode_text("hello", n_tokens=2, model="tiny", profile="smoke")


def test_a_text_that_is_too_short_is_refused(stored):
    with pytest.raises(ReproducerError, match="a text of at least 2 tokens"):
        encode_text("h", n_tokens=2, model="tiny", profile="smoke")


@pytest.mark.parametrize(
    "option",
    [["--recipe", "paper"], ["--arrangement", "[e]xN"], ["--steps", "9"], ["--seeds", "4"]],
)
def test_what_belongs_to_fits_is_refused(option):
    status, _, err = called(["text", "-", "--encode", *option], b"some text")
    assert status == 2 and f"expected no {option[0]} beside --encode" in err
