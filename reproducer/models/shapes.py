"""Untrained models of changed shapes: `random:<name>:layers=8:width=384:vocab=4096`."""

from __future__ import annotations

from typing import Any

from reproducer.errors import ReproducerError, require_name, shown
from reproducer.models.zoo import MODELS

# What a name may change, and the fields of a configuration that follow the width in proportion.
CHANGES = {"layers": "num_hidden_layers", "width": "hidden_size", "vocab": "vocab_size"}
WITH_WIDTH = ("intermediate_size", "num_attention_heads", "num_key_value_heads")


def split_name(name: str) -> tuple[str, dict[str, int]]:
    """`base:layers=8:width=384` -> ("base", {"layers": 8, "width": 384}).

    Only a name of `MODELS` is split: those of folders may have colons of their own.

    Raises:
        ReproducerError: anything after a colon that is not a change, or one that is there twice.
    """
    first = name.partition(":")[0].partition("@")[0]
    base, *parts = name.split(":") if first in MODELS else [name]
    changes: dict[str, int] = {}
    for part in parts:
        field, _, number = part.partition("=")
        require_name("change of a shape", field, CHANGES)
        if field in changes or not number.isascii() or not number.isdigit() or int(number) < 1:
            raise ReproducerError(
                f"untrained model {shown(name)}: expected each change once, as in layers=8, got "
                f"{shown(part)}"
            )
        changes[field] = int(number)
    if changes and "@" in base:
        raise ReproducerError(
            f"untrained model {shown(name)}: expected no @ before changes of a shape, which no "
            "revision has"
        )
    return base, changes


def resized(shape: dict[str, Any], changes: dict[str, int]) -> dict[str, Any]:
    """The shape with other numbers of layers, other widths or vocabularies.

    Heads keep their size: their number and the inner width follow the width in proportion. Special
    tokens that a smaller vocabulary lacks become its first.

    Raises:
        ReproducerError: a width of which that would give broken numbers.
    """
    new = dict(shape)
    for field, number in changes.items():
        new[CHANGES[field]] = number
    for field in [f for f in WITH_WIDTH if f in shape]:
        product = shape[field] * new["hidden_size"]
        if product % shape["hidden_size"]:
            raise ReproducerError(
                f"expected a width that keeps {field} = {shape[field]} a whole number in "
                f"proportion to {shape['hidden_size']}, got {new['hidden_size']}"
            )
        new[field] = product // shape["hidden_size"]
    for field in ("bos_token_id", "eos_token_id"):
        if new.get(field, 0) >= new["vocab_size"]:
            new[field] = 0  # untrained weights know no special token from another
    return new


def n_parameters(shape: dict[str, Any]) -> int:
    """How many weights a model of this shape has, of the Llama or the GPT-NeoX family."""
    width, inner, layers = (
        shape[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    heads = shape["num_attention_heads"]
    of_values = width // heads * shape.get("num_key_value_heads", heads)
    attention = 2 * width * width + 2 * width * of_values
    if shape["model_type"] == "gpt_neox":  # with biases, and norms that have them
        a_layer = attention + 2 * width * inner + 4 * width + inner + width + 4 * width
        after = 2 * width
    else:
        a_layer, after = attention + 3 * width * inner + 2 * width, width
    embeddings = shape["vocab_size"] * width * (1 if shape.get("tie_word_embeddings") else 2)
    return embeddings + layers * a_layer + after
