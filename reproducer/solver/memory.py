"""How many input positions go through the model at a time."""

from __future__ import annotations

import torch

from reproducer.decoder.parallel import n_workers
from reproducer.models.language_model import LanguageModel

# For each worker (`reproducer.decoder.parallel`): beyond this many rows a product runs no faster on
# a CPU (benchmarks/NOTES.md). Two texts of 256 tokens fit, with their first input.
CPU_INPUTS = 520
# Enough rows to fill a large GPU; more would only lengthen the time between checks.
CUDA_INPUTS = 32768


def batch_inputs(lm: LanguageModel) -> int:
    """Input positions per forward and backward pass on `lm`'s device."""
    if lm.device.type != "cuda":
        return CPU_INPUTS * torch.get_num_threads()
    free, _ = torch.cuda.mem_get_info(lm.device)
    return int(min(CUDA_INPUTS, max(1, 0.6 * free // bytes_per_input(lm))))


def batch_problems(n_inputs: int, max_inputs: int, device: torch.device) -> int:
    """How many problems of `n_inputs` input positions share a batch, alike for all workers."""
    fitting = max(1, max_inputs // n_inputs)
    workers = n_workers(device, fitting * n_inputs)
    return fitting - fitting % workers if fitting > workers else fitting


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran short, on whatever device."""
    # For a CPU, PyTorch has no class of error of its own.
    on_cpu = "DefaultCPUAllocator: can't allocate memory" in str(error)
    return on_cpu or isinstance(error, (torch.OutOfMemoryError, MemoryError))


def bytes_per_input(lm: LanguageModel) -> int:
    """Estimated activation bytes that one input position keeps until the backward pass."""
    config, size = lm.config, lm.dtype.itemsize
    inner = getattr(config, "intermediate_size", 4 * lm.d_model)
    return config.num_hidden_layers * (8 * lm.d_model + 3 * inner) * size
