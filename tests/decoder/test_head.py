"""The fused head and loss against a plain cross-entropy, and its promises about memory."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from reproducer.decoder import head as head_module
from reproducer.decoder.head import head_loss


@pytest.fixture(autouse=True)
def one_thread():
    """Problems this small gain nothing from threads, which only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Watch(TorchDispatchMode):
    """Notes every operation: its name, its tensor arguments and its tensor results."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, list[Tensor], list[Tensor]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        results = out if isinstance(out, (tuple, list)) else [out]
        tensors = [[t for t in group if isinstance(t, Tensor)] for group in (args, results)]
        self.calls.append((func.overloadpacket.__name__, *tensors))
        return out


def problem(
    n_tokens: int, n_words: int, d: int, dtype: torch.dtype, seed: int = 0, bias: bool = True
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Hidden states, head, bias and targets."""
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n_tokens, d, generator=draw).to(dtype).requires_grad_()
    head = torch.randn(n_words, d, generator=draw).to(dtype)
    offset = torch.randn(n_words, generator=draw).to(dtype) if bias else None
    return hidden, head, offset, torch.randint(n_words, (n_tokens,), generator=draw)


def oracle(hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Logits and nats in float64."""
    logits = hidden.double() @ head.double().T
    logits = logits if bias is None else logits + bias.double()
    return logits, F.cross_entropy(logits, targets, reduction="none")


@settings(max_examples=60, deadline=None)
@given(
    n_tokens=st.integers(1, 9),
    n_words=st.integers(1, 40),
    d=st.integers(1, 6),
    slice_words=st.integers(1, 12),
    slice_tokens=st.integers(1, 5),
    bias=st.booleans(),
    seed=st.integers(0, 999),
)
def test_equals_cross_entropy(n_tokens, n_words, d, slice_words, slice_tokens, bias, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_module, "_MIN_WORDS", slice_words)
        patch.setattr(head_module, "_CPU_BYTES", 8 * slice_words * slice_tokens)
        hidden, *rest = problem(n_tokens, n_words, d, torch.float64, seed, bias)
        nats, predicted = head_loss(hidden, *rest)
        logits, expected = oracle(hidden, *rest)
        weight = torch.linspace(-1, 2, n_tokens, dtype=torch.float64)
        (grad,) = torch.autograd.grad((nats * weight).sum(), hidden)
        (expected_grad,) = torch.autograd.grad((expected * weight).sum(), hidden)
        torch.testing.assert_close(nats, expected, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(grad, expected_grad, rtol=1e-9, atol=1e-11)
        assert predicted.tolist() == logits.argmax(-1).tolist()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.04)])
def test_lower_precision_is_close(dtype, tolerance):
    hidden, *rest = problem(37, 3000, 16, dtype)
    nats, predicted = head_loss(hidden, *rest)
    logits, expected = oracle(hidden, *rest)
    assert nats.dtype == torch.float32
    torch.testing.assert_close(nats.double(), expected, rtol=tolerance, atol=tolerance)
    (grad,) = torch.autograd.grad(nats.sum(), hidden)
    (expected_grad,) = torch.autograd.grad(expected.sum(), hidden)
    assert grad.dtype == dtype
    torch.testing.assert_close(grad, expected_grad, rtol=tolerance, atol=tolerance)
    chosen = logits.gather(1, predicted[:, None]).squeeze(1)
    assert (logits.amax(-1) - chosen).max() <= 10 * tolerance


def test_certain_tokens_keep_their_gradient():
    """1 - p of a nearly certain token survives bfloat16, where p itself rounds to one."""
    hidden, head, _, targets = problem(16, 200, 32, torch.bfloat16, bias=False)
    hidden = (head[targets] * 0.6).detach().requires_grad_()
    nats, _ = head_loss(hidden, head, None, targets)
    _, expected = oracle(hidden, head, None, targets)
    certain = expected < 1e-3
    assert certain.sum() >= 3
    torch.testing.assert_close(nats[certain].double(), expected[certain], rtol=0.3, atol=0)
    (grad,) = torch.autograd.grad(nats.sum(), hidden)
    (expected_grad,) = torch.autograd.grad(expected.sum(), hidden)
    ratio = grad[certain].double().norm(dim=1) / expected_grad[certain].double().norm(dim=1)
    assert ((ratio > 0.7) & (ratio < 1.4)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_never_see_a_strided_slice(dtype):
    """A product with a strided slice of the hidden states takes several times as long on a CPU."""
    wide, head, bias, targets = problem(24, 300, 32, dtype)
    strided = wide[:, 8:24]
    head = head[:, :16].contiguous()
    assert not strided.is_contiguous()
    with Watch() as watch:
        nats, _ = head_loss(strided, head, bias, targets)
        nats.sum().backward()
    products = [args for name, args, _ in watch.calls if name in ("mm", "addmm", "linear")]
    assert products
    for args in products:
        left = args[-2]
        assert left.is_contiguous(), f"strides {left.stride()} for shape {tuple(left.shape)}"


def test_never_holds_all_logits(monkeypatch):
    monkeypatch.setattr(head_module, "_MIN_WORDS", 16)
    monkeypatch.setattr(head_module, "_CPU_BYTES", 4 * 16 * 8)
    hidden, *rest = problem(50, 400, 4, torch.float32)
    with Watch() as watch:
        nats, _ = head_loss(hidden, *rest)
        nats.sum().backward()
    largest = max(t.numel() for _, _, results in watch.calls for t in results)
    assert largest <= rest[0].numel()  # the head itself, seen through a slice
    rows = [
        t for _, _, results in watch.calls for t in results if t.dim() == 2 and t.shape[1] == 16
    ]
    assert rows and max(t.shape[0] for t in rows) <= 8


def test_never_asks_the_host():
    hidden, *rest = problem(12, 100, 8, torch.float32)
    with Watch() as watch:
        nats, _ = head_loss(hidden, *rest)
        nats.sum().backward()
    assert not {name for name, _, _ in watch.calls} & {"_local_scalar_dense", "nonzero", "item"}


def test_no_gradient_no_second_product():
    hidden, *rest = problem(12, 100, 8, torch.float32)
    counts = []
    for run in (torch.enable_grad(), torch.no_grad()):
        with run, Watch() as watch:
            nats, _ = head_loss(hidden, *rest)
        counts.append(sum(name in ("mm", "addmm") for name, _, _ in watch.calls))
    assert counts[1] < counts[0]
    assert not nats.requires_grad


def sliced(patch: pytest.MonkeyPatch, n_words: int) -> None:
    """Read the vocabulary in slices of about so many words."""
    patch.setattr(head_module, "_MIN_WORDS", n_words)
    patch.setattr(head_module, "_CPU_BYTES", 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("n_words", [4, 12])
def test_uniform_logits_predict_the_first_word(monkeypatch, dtype, n_words):
    """An untrained head says nothing: only where the target is word 0 is it right."""
    sliced(monkeypatch, n_words)
    hidden, head = torch.randn(12, 8).to(dtype), torch.zeros(12, 8, dtype=dtype)
    nats, predicted = head_loss(hidden, head, None, torch.arange(12))
    assert predicted.tolist() == [0] * 12
    assert nats.tolist() == pytest.approx([math.log(12)] * 12, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("target", "equal"), [(2, 9), (9, 2), (4, 5), (5, 4), (0, 11), (11, 0)])
def test_of_two_equal_logits_the_lower_index_wins(monkeypatch, dtype, target, equal):
    sliced(monkeypatch, 3)  # 0-2, 3-5, 6-8, 9-11
    draw = torch.Generator().manual_seed(0)
    head = torch.randint(-2, 3, (12, 8), generator=draw).to(dtype)
    head[target] = head[equal] = 3.0
    hidden = torch.ones(1, 8, dtype=dtype)
    _, predicted = head_loss(hidden, head, None, torch.tensor([target]))
    assert predicted.item() == min(target, equal)


@settings(max_examples=80, deadline=None)
@given(
    n_words=st.integers(1, 30),
    slice_words=st.integers(1, 12),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 999),
)
def test_small_whole_numbers_give_the_argmax_of_the_whole_product(
    n_words, slice_words, dtype, seed
):
    """Such products are exact whatever their order, and most of the maxima are ties."""
    draw = torch.Generator().manual_seed(seed)
    hidden, head = (torch.randint(-1, 2, (n, 3), generator=draw).to(dtype) for n in (20, n_words))
    bias = torch.randint(-1, 2, (n_words,), generator=draw).to(dtype)
    targets = torch.randint(n_words, (20,), generator=draw)
    with pytest.MonkeyPatch.context() as patch:
        sliced(patch, slice_words)
        _, predicted = head_loss(hidden, head, bias, targets)
    assert torch.equal(predicted, F.linear(hidden, head, bias).argmax(-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(5))
def test_predicts_what_the_plain_product_predicts(dtype, seed):
    """In bfloat16 many of these rows have equal maxima; here every maximum is a target once."""
    hidden, head, bias, targets = problem(64, 3000, 16, dtype, seed)
    logits = F.linear(hidden, head, bias)
    n_ties = int(((logits == logits.amax(-1, keepdim=True)).sum(-1) > 1).sum())
    assert n_ties > 0 or dtype == torch.float32
    expected = logits.argmax(-1)
    for wanted in (targets, expected, (expected + 1) % 3000):
        _, predicted = head_loss(hidden, head, bias, wanted)
        assert torch.equal(predicted, expected)
