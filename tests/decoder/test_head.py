"""The fused head and loss against a plain cross-entropy, and its promises about memory."""

from __future__ import annotations

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
