"""Shapes changed by name: what follows the width, which names are refused, what is drawn."""

import pytest

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.models.checkpoints import weightless_model
from reproducer.models.language_model import load_lm
from reproducer.models.shapes import n_parameters, resized, split_name
from reproducer.models.zoo import MODELS


def test_names_are_split():
    assert split_name("smollm2-135m") == ("smollm2-135m", {})
    changed = split_name("pythia-160m:layers=8:width=384")
    assert changed == ("pythia-160m", {"layers": 8, "width": 384})
    # A folder's name may have colons.
    assert split_name("some/place:layers=8") == ("some/place:layers=8", {})


def test_heads_keep_their_size():
    shape = resized(MODELS["smollm2-135m"].shape, {"width": 384, "layers": 6, "vocab": 4096})
    sizes = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    assert [shape[name] for name in sizes] == [384, 1024, 6, 2]
    assert (shape["num_hidden_layers"], shape["vocab_size"]) == (6, 4096)
    neox = resized(MODELS["pythia-160m"].shape, {"width": 256})
    assert (neox["intermediate_size"], neox["num_attention_heads"]) == (1024, 4)
    assert "num_key_value_heads" not in neox
    assert resized(MODELS["tiny"].shape, {"vocab": 257})["bos_token_id"] == 256
    assert resized(MODELS["tiny"].shape, {"vocab": 256})["bos_token_id"] == 0


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("random:tiny:depth=3", "change of a shape.*layers"),
        ("random:tiny:layers", "layers=8, got 'layers'"),
        ("random:tiny:layers=-1", "layers=8, got 'layers=-1'"),
        ("random:tiny:layers=2:layers=3", "each change once"),
        ("random:smollm2-135m:width=500", "intermediate_size = 1536 a whole"),
        ("random:pythia-160m@main:width=384", "expected no @ before changes"),
        ("tiny:layers=3", "expected changes of a shape after random:"),
        ("smollm2-135m:layers=3", "expected changes of a shape after random:"),
    ],
)
def test_bad_changes_are_refused(name, fault):
    with pytest.raises(ReproducerError, match=fault):
        model_card(name)


def test_a_changed_model_is_drawn_and_named_by_its_shape():
    lm = load_lm("random:tiny:layers=3:width=64")
    assert lm.d_model == 64 and len(lm.hf.base_model.layers) == 3
    cards = [model_card(f"random:tiny{c}") for c in ("", ":layers=3", ":layers=2")]
    assert cards[0].weights == cards[2].weights != cards[1].weights
    assert cards[0].weights == model_card("tiny").weights
    planned = model_card("random:shape:pythia-160m:layers=3")
    assert planned.config == model_card("random:pythia-160m:layers=3").config


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_counted_as_the_library_makes_them(name):
    made = weightless_model(model_card(f"shape:{name}"))
    counted = n_parameters(MODELS[name].shape)
    assert counted == sum(w.numel() for w in {id(p): p for p in made.parameters()}.values())
