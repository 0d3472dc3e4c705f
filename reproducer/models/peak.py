"""What the machine can do: its matrix-product peak, and how much memory a run takes."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import torch
from torch import nn

# (rows, inner, columns): products as a decoder has them, and a large square one.
SHAPES = {
    "cpu": ((512, 576, 3072), (1024, 1024, 4096), (2048, 2048, 2048)),
    "cuda": ((8192, 8192, 8192), (16384, 4096, 8192)),
}
SECONDS_PER_SHAPE = 1.0


def matmul_peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """The best rate, in FLOP/s, of a few large products in `dtype` on random data."""
    return max(_rate(shape, device, dtype) for shape in SHAPES.get(device.type, SHAPES["cpu"]))


def _rate(shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> float:
    rows, inner, columns = shape
    a = torch.randn(rows, inner, device=device).to(dtype)
    b = torch.randn(columns, inner, device=device).to(dtype)
    best, end = 0.0, time.perf_counter() + SECONDS_PER_SHAPE
    while time.perf_counter() < end or best == 0.0:
        started = time.perf_counter()
        for _ in range(5):
            torch.nn.functional.linear(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 5 * 2 * rows * inner * columns / (time.perf_counter() - started))
    return best


def matmul_flops_per_input(hf: nn.Module) -> float:
    """FLOP of the weights' products for one input position, forward and backward to the input.

    Two for each weight each way; attention scores are left out. The embedding table is
    counted as the head, tied or not.
    """
    embedding = hf.get_input_embeddings().weight
    matrices = {id(p): p.numel() for p in hf.parameters() if p.dim() == 2}
    matrices.pop(id(embedding), None)
    matrices[id(hf.get_output_embeddings().weight)] = embedding.numel()
    return 2 * 2 * sum(matrices.values())


def step_flops(hf: nn.Module, n_inputs: int, n_tokens: int) -> float:
    """FLOP of one sequence's step, forward and backward to its inputs: all matrix products.

    Of `n_inputs` positions the head reads `n_tokens`. Attention counts as if every position saw
    all others; kernels that leave out the causal half do less.
    """
    config = hf.config
    head = hf.get_output_embeddings().weight.numel()
    blocks = matmul_flops_per_input(hf) - 4 * head
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    # Scores and mixing forward; backward, the gradients of both factors of each.
    attention = 12 * config.num_hidden_layers * config.num_attention_heads * width * n_inputs
    return n_inputs * (blocks + attention) + n_tokens * 4 * head


class PeakMemory:
    """Context: `bytes` is the most memory that was held inside beyond what was held before.

    CUDA's own accounting on a GPU; the kernel's resident-set high-water mark on Linux, after freed
    memory has been handed back; None where neither exists.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.bytes = device, None

    def __enter__(self) -> PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            try:
                Path("/proc/self/clear_refs").write_text("5")
                _hand_back_freed_memory()
                self._before = _resident("VmRSS")
            except OSError:
                self._before = None
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is None:
            return
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device) - self._before
        else:
            self.bytes = max(0, _resident("VmHWM") - self._before)


def _hand_back_freed_memory() -> None:
    """What the C library keeps for reuse would hide as much of what the next run takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {name}")
