"""Cards: what a model's name says without its weights, and the tokenizer against the library's."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.models.checkpoints import read_tokenizer
from reproducer.models.language_model import load_lm
from reproducer.models.zoo import MODELS
from reproducer.results.known import Known
from reproducer.results.run import compute
from reproducer.texts.sources import passages
from tests.results.samples import spec

NAMES = ("smollm2-135m", "tiny")
ODD = [
    "",
    " ",
    "   three  spaces ",
    "\n\n\t\r\n",
    "naïve café, e\u0301 and é",
    "日本語 と 한국어",
    "🧑‍🚀🏳️‍🌈 👩‍👩‍👧",
    "שלום עולם، مرحبا",
    "\u200b\ufeff\u00ad\u2028",
    "\x00\x01\x7f",
    "don't DON'T we'll I'm they've",
    "1234567890 3.14159 1,000,000",
    "<|im_start|>user <|endoftext|> <bos><eos>",
    "\U0010ffff\ue000",
    "def f(x):\n    return x ** 2  # a comment\n",
    "Ǆ ﬁ ½ ² ①",
]


@pytest.fixture(scope="module")
def library():
    """The library's tokenizer of each model."""
    return {name: read_tokenizer(model_card(name)) for name in NAMES}


def agree(name, library, words):
    ours, theirs = model_card(name).tokenizer, library[name]
    ids = ours.encode(words)
    assert list(ids) == theirs(words, add_special_tokens=False)["input_ids"]
    decoded = theirs.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert ours.decode(ids) == decoded


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["unseen", "seen"])
def test_the_tokenizer_is_the_librarys_on_all_passages(name, source, library):
    for passage in passages(source):
        for half in (passage.first_half, passage.second_half):
            agree(name, library, half)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", ODD)
def test_the_tokenizer_is_the_librarys_on_odd_text(name, words, library):
    agree(name, library, words)


@pytest.mark.parametrize("name", NAMES)
def test_the_tokenizer_is_the_librarys_on_any_text(name, library):
    @settings(deadline=None, max_examples=200)
    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def check(words):
        agree(name, library, words)

    check()


@pytest.mark.parametrize("name", NAMES)
def test_decoding_single_tokens_is_the_librarys(name, library):
    """Those of a split character, too."""
    ours, theirs = model_card(name).tokenizer, library[name]
    for token in [*range(300), *range(300, len(theirs), 977)]:
        if token < len(theirs):
            assert ours.decode([token]) == theirs.decode([token]), token


@pytest.mark.parametrize("name", NAMES)
def test_text_survives_the_tokenizer(name):
    tokenizer = model_card(name).tokenizer
    assert all(tokenizer.decode(tokenizer.encode(words)) == words for words in ODD)


@pytest.mark.parametrize("name", MODELS)
def test_a_card_says_what_the_zoo_says(name):
    card = model_card(f"random:{name}") if name != "smollm2-135m" else model_card(name)
    assert card.max_positions == MODELS[name].config().max_position_embeddings
    assert card.arrangement == MODELS[name].arrangement


def test_untrained_weights_are_named_by_their_shape():
    cards = [model_card(f"random:{name}") for name in MODELS]
    assert len({card.weights for card in cards}) == len(MODELS)
    assert all(card.untrained and card.weights.startswith("untrained:") for card in cards)
    assert model_card("random:tiny").weights == model_card("tiny").weights


@pytest.fixture
def folder(tmp_path):
    """A small model with a tokenizer."""
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        vocab_size=300,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    read_tokenizer(model_card("tiny")).save_pretrained(tmp_path / "model")
    model_card.cache_clear()
    yield tmp_path / "model"
    model_card.cache_clear()


def key_elsewhere(folder):
    """The key that another process gives a fit on this model."""
    program = (
        "import sys; from tests.results.samples import spec; print(spec(0, model=sys.argv[1]).key)"
    )
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_replaced_weights_give_other_keys_and_old_results_are_not_used(folder):
    before = spec(0, model=str(folder))
    (first,) = compute([before], progress=False)
    assert key_elsewhere(folder) == before.key
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][3, 5] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    # A command is a process; within one a model stays what it was when it was first asked for.
    assert spec(0, model=str(folder)).key == before.key
    model_card.cache_clear()
    after = spec(0, model=str(folder))
    assert after.key != before.key and key_elsewhere(folder) == after.key
    assert before in Known() and after not in Known()
    assert first.spec["weights"] == before.weights != after.weights


def test_a_model_replaced_while_it_is_loaded_is_refused(folder, monkeypatch):
    asked = spec(0, model=str(folder), weights="files:" + "0" * 64)
    with pytest.raises(ReproducerError, match="expected the weights files:000"):
        compute([asked], progress=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"other"),
        lambda folder: (folder / "config.json").write_text(
            json.dumps(json.loads((folder / "config.json").read_text()) | {"rms_norm_eps": 0.1})
        ),
        lambda folder: (folder / "second.safetensors").write_bytes(b""),
    ],
)
def test_weights_are_named_by_all_that_defines_them(folder, change):
    before = model_card(str(folder)).weights
    change(folder)
    model_card.cache_clear()
    assert model_card(str(folder)).weights != before


def test_a_copy_has_the_same_weights(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("of no account")
    assert model_card(str(tmp_path / "copy")).weights == model_card(str(folder)).weights


def test_a_folders_card(folder):
    card = model_card(str(folder))
    assert card.max_positions == 64 and not card.untrained and card.revision is None
    assert card.tokenizer.decode(card.tokenizer.encode("Añb ☂")) == "Añb ☂"
    assert load_lm(str(folder), device="cpu").card == card


def test_a_folder_without_a_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ReproducerError, match=r"expected tokenizer\.json in the model folder"):
        _ = model_card(str(folder)).tokenizer
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ReproducerError, match="expected a tokenizer in"):
        _ = model_card(str(folder)).tokenizer


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_folder_with_a_broken_configuration(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(ReproducerError):
        _ = model_card(str(folder)).max_positions


def test_positions_under_the_name_of_an_older_family(folder):
    fields = json.loads((folder / "config.json").read_text())
    fields["n_positions"] = fields.pop("max_position_embeddings")
    (folder / "config.json").write_text(json.dumps(fields))
    assert model_card(str(folder)).max_positions == 64


def test_the_hubs_commit_names_the_weights(monkeypatch, tmp_path):
    """Taken from the local cache where the model is there, without asking the hub."""
    import huggingface_hub

    cached = tmp_path / "snapshots" / "abc123" / "config.json"
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(cached))
    monkeypatch.setattr(huggingface_hub, "HfApi", None)
    card = model_card("someone/some-model")
    assert card.weights == "hub:someone/some-model@abc123" and card.revision == "abc123"
    model_card.cache_clear()


@pytest.mark.parametrize("name", NAMES)
def test_the_token_before_a_text_is_the_library_s(name):
    lm = load_lm(name)
    assert model_card(name).bos_token_id == lm.bos_token_id == lm.hf.config.bos_token_id


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"bos_token_id": 3, "eos_token_id": 4}, 3),
        ({"bos_token_id": None, "eos_token_id": 4}, 4),
        ({"eos_token_id": [4, 5]}, 0),
    ],
)
def test_without_a_beginning_of_text_its_end_stands_before_it(ids, expected, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(ids))
    assert model_card(str(tmp_path)).bos_token_id == expected
