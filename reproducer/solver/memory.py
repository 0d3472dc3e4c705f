"""How many inputs go through the model at a time, and what is said where memory is short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PretrainedConfig

from reproducer.decoder.lean import lean_decoder
from reproducer.decoder.parallel import n_workers
from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel

# For each worker (`reproducer.decoder.parallel`): beyond this many rows a product runs no faster on
# a CPU (benchmarks/NOTES.md). Two texts of 256 tokens fit, with their first input.
CPU_INPUTS = 520
# Enough rows to fill a large GPU; more would only lengthen the time between checks.
CUDA_INPUTS = 32768
# What a batch may take of the memory that is free: estimates are rough, and allocators round up.
SHARE_OF_FREE = 0.6


def batch_inputs(lm: LanguageModel) -> int:
    """Input positions per forward and backward pass on `lm`'s device."""
    if lm.device.type != "cuda":
        return CPU_INPUTS * torch.get_num_threads()
    # Decoders are made on first use. What is free before that is not free for a batch.
    lm.decoder(), lm.decoder(torch.float32)
    free, _ = torch.cuda.mem_get_info(lm.device)
    return inputs_within(free, bytes_per_input(lm.config, lm.dtype))


def inputs_within(free_bytes: int, each_bytes: int) -> int:
    """Input positions, at least one, that a GPU with so much free memory takes at a time."""
    return int(min(CUDA_INPUTS, max(1, SHARE_OF_FREE * free_bytes // each_bytes)))


def batch_problems(n_inputs: int, max_inputs: int, device: torch.device) -> int:
    """How many problems of `n_inputs` input positions share a batch, alike for all workers."""
    fitting = max(1, max_inputs // n_inputs)
    workers = n_workers(device, fitting * n_inputs)
    return fitting - fitting % workers if fitting > workers else fitting


class ShortOfMemoryError(ReproducerError):
    """Memory ran short, and a smaller batch would not help."""


@contextmanager
def memory_errors(asked: str) -> Iterator[None]:
    """Tell a lack of memory in one line that names what was asked."""
    try:
        yield
    except (ShortOfMemoryError, RuntimeError, MemoryError) as error:
        if isinstance(error, ShortOfMemoryError):
            reason = str(error)
        elif is_out_of_memory(error):
            reason = "out of memory"
        else:
            raise
        raise ReproducerError(f"{reason}; asked for: {asked}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran short, on whatever device."""
    # For a CPU, PyTorch has no class of error of its own.
    on_cpu = "DefaultCPUAllocator: can't allocate memory" in str(error)
    return on_cpu or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def bytes_per_input(config: PretrainedConfig, dtype: torch.dtype) -> int:
    """Estimated activation bytes that one input position keeps until the backward pass."""
    d_model = config.hidden_size
    inner = getattr(config, "intermediate_size", 4 * d_model)
    return config.num_hidden_layers * (8 * d_model + 3 * inner) * dtype.itemsize


def weight_bytes(hf: nn.Module, dtype: torch.dtype, packs: bool = False) -> int:
    """Bytes of a model's weights while it solves in `dtype`; `hf` may be without weights.

    The library's model in float32, a decoder that solves and one that measures in float32. The
    latter shares the matrices that need no folding with the library's model. `packs`: on a CPU that
    computes in bfloat16, both forms of a packed product stand in for its matrix.
    """
    total = 4 * sum(parameter.numel() for parameter in hf.parameters())
    lean = lean_decoder(hf)
    if lean is None:
        return total + (0 if dtype == torch.float32 else total // 4 * dtype.itemsize)
    held = {name: buffer.numel() for name, buffer in lean.named_buffers()}
    shared = sum(n for name, n in held.items() if name.endswith(("_out.matrix", "_out.bias")))
    total += 4 * (sum(held.values()) - shared)
    if dtype == torch.float32:
        return total
    matrices = sum(n for name, n in held.items() if name.endswith(".matrix"))
    return total + dtype.itemsize * (sum(held.values()) + packs * matrices)
