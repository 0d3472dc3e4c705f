"""The lean decoder against the library's model, block by block, forward and backward."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from reproducer.decoder import ops as decoder_ops
from reproducer.decoder.lean import LeanDecoder, lean_decoder
from reproducer.decoder.products import FrozenAffine
from reproducer.decoder.weights import Affine

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MODELS = {
    "llama": {},
    "llama-tied": {"tie_word_embeddings": True},
    "llama-grouped": {"num_key_value_heads": 2},
    "llama-one-key": {"num_key_value_heads": 1, "head_dim": 12},
    "llama-rope3": {"rope_parameters": LLAMA3_ROPE, "num_key_value_heads": 2},
    "llama-biased": {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 2},
    "neox": {},
    "neox-serial": {"use_parallel_residual": False},
    "neox-full-rotary": {"rotary_pct": 1.0},
}
SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}


@pytest.fixture(autouse=True)
def one_thread():
    """Problems this small gain nothing from threads, which only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def library_model(name: str, dtype: torch.dtype) -> nn.Module:
    """A tiny random model with no weight, norm or bias left at its neutral start."""
    torch.manual_seed(0)
    if name.startswith("llama"):
        model = LlamaForCausalLM(LlamaConfig(**SIZES, **MODELS[name]))
    else:
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, **({"rotary_pct": 0.25} | MODELS[name])))
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model.eval().requires_grad_(False).to(dtype)


def embeddings(n_positions: int, dtype: torch.dtype, batch: int = 3) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(batch, n_positions, SIZES["hidden_size"], dtype=torch.float64)
    return x.to(dtype).requires_grad_()


def lean_logits(decoder: LeanDecoder, x: Tensor) -> Tensor:
    return F.linear(decoder(x), decoder.head, decoder.head_bias)


def worst_difference(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference, relative to the largest expected magnitude."""
    return ((actual - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture
def precise_library(monkeypatch):
    """The library's RMS norm computes in float32 whatever its input; here it uses the input's."""

    def forward(self: LlamaRMSNorm, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.variance_epsilon)

    monkeypatch.setattr(LlamaRMSNorm, "forward", forward)


@pytest.fixture(params=["plain", "fused"])
def attention(request, monkeypatch):
    """Attention as written for the CPU, and as for other devices, here run on the CPU."""
    if request.param == "fused":
        monkeypatch.setattr(decoder_ops, "attend_plain", decoder_ops.attend_fused)
    return request.param


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)], ids=str
)
def test_equals_the_library(name, dtype, tolerance, attention, precise_library):
    model = library_model(name, dtype)
    decoder = lean_decoder(model)
    x = embeddings(9, dtype)
    expected, actual = model(inputs_embeds=x).logits, lean_logits(decoder, x)
    weight = torch.randn_like(expected)
    (expected_grad,) = torch.autograd.grad(expected, x, weight)
    (grad,) = torch.autograd.grad(actual, x, weight)
    assert worst_difference(actual, expected) < tolerance
    assert worst_difference(grad, expected_grad) < tolerance


@pytest.mark.parametrize("name", ["llama-grouped", "neox"])
@pytest.mark.parametrize("n_positions", [1, 33, 64, 65, 150])
def test_any_length(name, n_positions, precise_library):
    """Lengths at and around the borders of attention's query blocks."""
    model = library_model(name, torch.float64)
    x = embeddings(n_positions, torch.float64, batch=2)
    expected, actual = model(inputs_embeds=x).logits, lean_logits(lean_decoder(model), x)
    weight = torch.randn_like(expected)
    (expected_grad,) = torch.autograd.grad(expected, x, weight)
    (grad,) = torch.autograd.grad(actual, x, weight)
    assert worst_difference(actual, expected) < 1e-9
    assert worst_difference(grad, expected_grad) < 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_every_block_equals_the_library(name, precise_library):
    model = library_model(name, torch.float64)
    decoder = lean_decoder(model)
    seen: dict[str, list[Tensor]] = {"library": [], "lean": []}

    def note(key: str):
        return lambda module, inputs, output: seen[key].append(output.flatten())

    for key, blocks in (("library", model.base_model.layers), ("lean", decoder.blocks)):
        for block in blocks:
            block.register_forward_hook(note(key))
    x = embeddings(9, torch.float64)
    model(inputs_embeds=x)
    decoder(x)
    assert len(seen["lean"]) == SIZES["num_hidden_layers"]
    for actual, expected in zip(seen["lean"], seen["library"], strict=True):
        assert worst_difference(actual, expected) < 1e-9


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("n_positions", [9, 70])
def test_bfloat16_is_as_close_as_the_library(name, n_positions, attention):
    """Both bfloat16 models against the float32 one: ours errs no more than 1.5 times as much."""
    precise = library_model(name, torch.float32)
    decoder = lean_decoder(precise).to(torch.bfloat16)
    x = embeddings(n_positions, torch.bfloat16).detach()
    results = []
    for run, dtype in (
        (lambda x: precise(inputs_embeds=x).logits, torch.float32),
        (lambda x: lean_logits(decoder, x), torch.bfloat16),
        (lambda x: precise.to(torch.bfloat16)(inputs_embeds=x).logits, torch.bfloat16),
    ):
        leaf = x.to(dtype).requires_grad_()
        logits = run(leaf)
        (grad,) = torch.autograd.grad(logits.float().square().mean(), leaf)
        results.append((logits.float(), grad.float()))
    for exact, ours, library in zip(*results, strict=True):
        assert (ours - exact).norm() < 1.5 * (library - exact).norm()


def test_rows_of_a_batch_do_not_meet():
    decoder = lean_decoder(library_model("llama-grouped", torch.float64))
    x = embeddings(9, torch.float64)
    alone = torch.cat([decoder(row[None]) for row in x])
    assert worst_difference(decoder(x), alone) < 1e-12


def test_future_positions_do_not_matter():
    decoder = lean_decoder(library_model("neox", torch.float64))
    x = embeddings(80, torch.float64)
    (grad,) = torch.autograd.grad(decoder(x)[:, :70, 0].sum(), x)
    assert grad[:, 70:].abs().max() == 0
    assert grad[:, 69].abs().max() > 0


def test_no_gradient_reaches_the_weights():
    model = library_model("llama", torch.float32).requires_grad_(True)
    decoder = lean_decoder(model)
    decoder(embeddings(5, torch.float32)).sum().backward()
    assert not list(decoder.parameters())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_what_inference_keeps_serves_a_gradient(dtype):
    """Tables and packed matrices made at the first use, be it without gradients."""
    decoder = lean_decoder(library_model("llama", torch.float32)).to(dtype)
    x = embeddings(5, dtype)
    with torch.inference_mode():
        decoder(x.detach())
    decoder(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("bias", [True, False])
def test_packed_product_is_the_plain_one(bias):
    torch.manual_seed(0)
    offset = torch.randn(24).bfloat16() if bias else None
    weights = Affine(torch.randn(24, 40).bfloat16(), offset)
    product = FrozenAffine(weights)
    x, stream = (torch.randn(7, n).bfloat16().requires_grad_() for n in (40, 24))
    for actual, expected in (
        (product(x), F.linear(x, *weights)),
        (product.added_to(stream, x), stream + F.linear(x, *weights)),
    ):
        torch.testing.assert_close(actual, expected, rtol=2e-2, atol=6e-2)
        grads = (
            torch.autograd.grad(y.sum(), (x, stream), allow_unused=True) for y in (actual, expected)
        )
        for grad, expected_grad in zip(*grads, strict=True):
            torch.testing.assert_close(grad, expected_grad, rtol=2e-2, atol=6e-2)


def test_threads_that_meet_at_the_first_product_pack_it_once():
    matrix, x = torch.randn(600, 600).bfloat16(), torch.randn(7, 600).bfloat16()
    for _ in range(20):
        product, ready = FrozenAffine(Affine(matrix, None)), Barrier(4)

        def first_use(_, product=product, ready=ready):
            ready.wait()
            return product(x)

        with ThreadPoolExecutor(4) as pool:
            assert all(torch.equal(y, product(x)) for y in pool.map(first_use, range(4)))


class Products(TorchDispatchMode):
    """Notes operations' names, and the strides of the rows that go into products."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.strided: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.names.add(name)
        if name in ("mm", "addmm", "_linear_pointwise"):
            rows = args[{"addmm": 1}.get(name, 0)]
            self.strided += [] if rows.is_contiguous() else [rows.stride()]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["llama-grouped", "neox"])
def test_rows_into_products_are_contiguous_and_the_host_is_never_asked(name, dtype):
    decoder = lean_decoder(library_model(name, torch.float32)).to(dtype)
    x = embeddings(9, dtype)
    with Products() as products:
        decoder(x)[:, 1:].square().sum().backward()
    assert products.names & {"mm", "_linear_pointwise"}
    assert not products.strided
    assert not products.names & {"_local_scalar_dense", "nonzero"}


def test_other_architectures_are_left_to_the_library():
    config = GPT2Config(vocab_size=61, n_embd=32, n_layer=1, n_head=4)
    assert lean_decoder(GPT2LMHeadModel(config)) is None
    assert lean_decoder(nn.Linear(2, 2)) is None


@pytest.mark.parametrize("config", [{"hidden_act": "gelu"}, {"rope_parameters": "dynamic"}])
def test_unknown_parts_are_left_to_the_library(config):
    if "rope_parameters" in config:
        config = {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}
    assert lean_decoder(LlamaForCausalLM(LlamaConfig(**SIZES, **config))) is None
