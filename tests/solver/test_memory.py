"""The memory plan: what a step really keeps, what weights really take, and a GPU's free memory."""

from dataclasses import replace

import pytest
import torch

from reproducer.models.card import model_card
from reproducer.models.checkpoints import weightless_model
from reproducer.models.language_model import load_lm
from reproducer.solver.memory import (
    CUDA_INPUTS,
    batch_inputs,
    bytes_per_input,
    inputs_within,
    weight_bytes,
)
from reproducer.solver.slots import Slots
from tests.models.test_language_model import tiny_neox
from tests.solver.fits import RECIPE, fit_specs


def a_gpu(lm, monkeypatch, free):
    """The model as if on a GPU; `free` tells the free bytes whenever they are asked for."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free(), 80 << 30))
    return replace(lm, device=torch.device("cuda"), _decoders={})


@pytest.mark.parametrize("free", [0, 10**6, 10**9, 10**12])
def test_a_batch_takes_its_share_of_free_memory(tiny, monkeypatch, free):
    lm = a_gpu(tiny, monkeypatch, lambda: free)
    n_inputs = batch_inputs(lm)
    each = bytes_per_input(tiny.config, torch.float32)
    assert 1 <= n_inputs <= CUDA_INPUTS
    assert n_inputs == 1 or n_inputs * each <= 0.6 * free
    assert n_inputs == CUDA_INPUTS or (n_inputs + 1) * each > 0.6 * free


def test_half_precision_takes_twice_as_many(tiny):
    each = [bytes_per_input(tiny.config, dtype) for dtype in (torch.float32, torch.bfloat16)]
    assert each[0] == 2 * each[1]
    assert inputs_within(10**7, each[1]) // 2 == inputs_within(10**7, each[0])


def test_weights_are_there_before_free_memory_is_asked_for(tiny, monkeypatch):
    """They are made on first use, and would take what had been promised to a batch."""
    lm = a_gpu(tiny, monkeypatch, lambda: 10**9 if len(lm._decoders) == 2 else 10**12)
    lm = replace(lm, dtype=torch.bfloat16)
    assert batch_inputs(lm) == inputs_within(10**9, bytes_per_input(lm.config, lm.dtype))


def kept_bytes(lm, slots, n_sequences):
    """Bytes that one pass keeps for its backward pass, each memory once, weights excluded."""
    lm.decoder()(slots.rows[:1, :1].to(lm.dtype))  # packs what is packed
    own = {t.untyped_storage().data_ptr() for t in [*lm.decoder().buffers(), lm.decoder().head]}
    seen = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    # Held, or the memory of one would be given to the next.
    held = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (held.append(t), keep(t))[1], lambda t: t
    ):
        slots.backward(lm.decoder(), lm.dtype, n_sequences)
    return sum(seen.values())


@pytest.mark.parametrize("n_tokens", [8, 60])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_keeps_no_more_than_was_estimated(dtype, n_tokens):
    """Attention on a CPU keeps its probabilities, which a GPU's fused kernel does not."""
    lm = load_lm("tiny", "cpu", dtype)
    specs = fit_specs(lm, 4, n_tokens)
    problems = [spec.problem(lm) for spec in specs]
    slots = Slots.empty(4, problems[0], RECIPE, lm.device)
    for slot, problem in enumerate(problems):
        slots.admit(slot, problem)
    n_inputs = slots.index.numel()
    config = lm.config
    probabilities = config.num_attention_heads * slots.index.shape[2] * 4
    estimate = bytes_per_input(config, lm.dtype) + config.num_hidden_layers * probabilities
    kept = kept_bytes(lm, slots, 4) / n_inputs
    assert 0.3 * estimate < kept < 1.3 * estimate


def stored_bytes(*modules):
    tensors = [t for m in modules for t in (*m.parameters(), *m.buffers())]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "neox"])
def test_weights_take_what_their_memory_says(tiny, tmp_path, family, dtype):
    lm = tiny if family == "llama" else load_lm(tiny_neox(tmp_path), "cpu")
    lm = replace(lm, dtype=dtype, _decoders={})
    held = stored_bytes(lm.hf, lm.decoder(), lm.decoder(torch.float32))
    tables = sum(buffer.nbytes for buffer in lm.hf.buffers())
    assert weight_bytes(lm.hf, dtype) == pytest.approx(held - tables, rel=0.02)


def test_weights_are_counted_without_them(tiny):
    hf = weightless_model(model_card("tiny"))
    for dtype in (torch.float32, torch.bfloat16):
        assert weight_bytes(hf, dtype) == weight_bytes(tiny.hf, dtype)


def test_both_forms_of_a_packed_product_are_counted(tiny):
    plain, packed = (weight_bytes(tiny.hf, torch.bfloat16, packs) for packs in (False, True))
    blocks = [p for name, p in tiny.hf.named_parameters() if ".layers." in name and p.dim() == 2]
    assert packed - plain == 2 * sum(p.numel() for p in blocks)
