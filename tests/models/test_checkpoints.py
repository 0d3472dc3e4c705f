"""Checkpoints that others wrote: what is damaged or foreign is refused, in one line."""

import json
import math
import subprocess
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.models.language_model import load_lm

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_llama(folder, **fields):
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=100,
        max_position_embeddings=64,
        **fields,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path):
    """A sound checkpoint with a tied head."""
    return save_llama(tmp_path / "llama", tie_word_embeddings=True)


def change_config(folder, **fields):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | fields))


def change_weights(folder, change):
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def refusal(folder):
    with pytest.raises(ReproducerError) as caught:
        load_lm(str(folder), device="cpu")
    told = str(caught.value)
    assert len(told.splitlines()) == 1 and str(folder) in told
    return told


def test_a_sound_checkpoint_with_a_tied_head_loads(folder):
    assert "lm_head.weight" not in load_file(folder / WEIGHTS)
    assert load_lm(str(folder), device="cpu").vocab_size == 100


def test_a_missing_weight_is_named(folder):
    lost = "model.layers.1.mlp.up_proj.weight"
    change_weights(folder, lambda weights: weights.pop(lost))
    assert refusal(folder).endswith(f"expected all weights, got none for {lost}")


def test_a_missing_head_that_is_not_tied_is_named(folder):
    change_config(folder, tie_word_embeddings=False)
    assert refusal(folder).endswith("got none for lm_head.weight")


def test_of_many_missing_weights_the_first_are_named(folder):
    change_config(folder, num_hidden_layers=3)
    told = refusal(folder)
    assert "model.layers.2.input_layernorm.weight, " in told and told.endswith(" and 6 more")


def test_weights_of_another_width_are_named(folder):
    change_config(folder, hidden_size=48, head_dim=12)
    told = refusal(folder)
    assert "model.embed_tokens.weight (expected (100, 48), got (100, 32))" in told


def test_another_model_s_weights(folder):
    other = {"something.else": torch.zeros(3)}
    save_file(other, folder / WEIGHTS, metadata={"format": "pt"})
    assert "expected all weights, got none for " in refusal(folder)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.0.self_attn.q_proj.weight"])
def test_weights_that_are_not_finite_are_named(folder, name, bad):
    change_weights(folder, lambda weights: weights[name].view(-1)[5:6].fill_(bad))
    assert refusal(folder).endswith(f"expected finite weights, got NaN or infinity in {name}")


@pytest.mark.parametrize(
    "content",
    [b"", b"no weights at all, only words " * 9, None],
    ids=["empty", "words", "cut short"],
)
def test_a_damaged_weights_file(folder, content):
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1000] if content is None else content)
    assert "expected a causal language model in" in refusal(folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"num_attention_heads": 0},
        {"num_attention_heads": 5},
        {"hidden_size": "wide"},
        {"hidden_act": "nothing"},
        {"model_type": "vit"},
        {"model_type": "nothing"},
    ],
)
def test_a_configuration_of_no_language_model(folder, fields):
    change_config(folder, **fields)
    assert "expected a causal language model in" in refusal(folder)


def test_a_configuration_that_is_no_json(folder):
    (folder / CONFIG).write_text("{")
    assert "expected a causal language model in" in refusal(folder)


# Written into modules that a checkpoint brings along: whoever imports one leaves a mark.
MARK = """
from pathlib import Path
Path({mark!r}).write_text("ran")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""
LOAD = """
import sys
from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.models.language_model import load_lm
for name in sys.argv[1:]:
    try:
        load_lm(name, device="cpu").tokenizer
    except ReproducerError as error:
        print(str(error))
"""


def bring_code(folder, model_type):
    mark = folder.parent / "mark"
    (folder / "modeling_own.py").write_text(MARK.format(mark=str(mark)))
    auto = {"AutoConfig": "OwnConfig", "AutoModelForCausalLM": "OwnModel"}
    auto = {name: f"modeling_own.{own}" for name, own in auto.items()}
    change_config(folder, model_type=model_type, auto_map=auto)
    tokenizer = {"auto_map": {"AutoTokenizer": [None, "modeling_own.OwnTokenizer"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return mark


@pytest.mark.parametrize("model_type", ["own", "llama"])
def test_code_of_a_checkpoint_never_runs(folder, model_type):
    """Not even when somebody, or a pipe, answers yes to every question."""
    mark = bring_code(folder, model_type)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)],
        input="y\n" * 9,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    (told,) = done.stdout.splitlines()
    assert "brings code of its own, which is never run" in told and str(folder) in told


def cut(file, share):
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])


def overwritten(file, place, content):
    held = bytearray(file.read_bytes())
    held[place : place + len(content)] = content
    file.write_bytes(held)


DAMAGES = {
    "no header": lambda file: file.write_bytes(b"\0" * 7),
    "a header longer than the file": lambda file: overwritten(file, 0, b"\xff" * 8),
    "half a header": lambda file: file.write_bytes(file.read_bytes()[:200]),
    "no names": lambda file: overwritten(file, 8, b"[]" + b" " * 40),
    "invalid UTF-8 in the header": lambda file: overwritten(file, 10, b"\xff\xfe\xff"),
    "a tenth": lambda file: cut(file, 0.1),
    "nine tenths": lambda file: cut(file, 0.9),
    "a byte too many": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_weights_that_were_cut_or_overwritten(folder, damage):
    damage(folder / WEIGHTS)
    refusal(folder)


@pytest.mark.parametrize("name", [CONFIG, "tokenizer.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 99999, None])
def test_files_beside_the_weights(folder, name, damage):
    """Planning reads these two without the weights."""
    if (folder / name).exists():
        (folder / name).unlink()
    if damage is None:
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(damage)
    with pytest.raises(ReproducerError) as caught:
        card = model_card(str(folder))
        assert card.max_positions == 64
        card.tokenizer  # noqa: B018
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("positions", [0, -5, "many", None, True])
def test_a_configuration_without_positions(folder, positions):
    change_config(folder, max_position_embeddings=positions)
    with pytest.raises(ReproducerError, match="expected max_position_embeddings or n_positions"):
        model_card(str(folder)).max_positions  # noqa: B018
