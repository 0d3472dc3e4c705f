"""The sentence encoder: shape, unit length, meaning, and errors in one line."""

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.texts.sentence_encoder import encode


def test_unit_vectors_that_place_a_paraphrase_nearer_than_another_topic():
    rain = "It rained all day and the streets were wet."
    wet = "The roads were soaked after a whole day of rain."
    tax = "The committee voted against the new tax on sugar."
    vectors = encode([rain, wet, tax])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_a_text_alone_equals_the_text_in_a_batch():
    texts = ["one short text", "and a rather longer one, which pads the batch " * 4]
    torch.testing.assert_close(encode(texts)[:1], encode(texts[:1]), rtol=1e-4, atol=1e-5)


def test_no_texts_and_unknown_encoders_are_told_in_one_line():
    with pytest.raises(ReproducerError, match="at least one text"):
        encode([])
    with pytest.raises(ReproducerError, match="cannot load the sentence encoder") as told:
        encode(["a"], "no/such-encoder")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("config", [None, "{", "[]", '{"model_type": "bert", "hidden_size": "x"}'])
def test_a_damaged_encoder_is_told_in_one_line(tmp_path, config):
    if config:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ReproducerError, match="cannot load the sentence encoder") as told:
        encode(["a"], str(tmp_path))
    assert "\n" not in str(told.value) and len(str(told.value)) < 500
