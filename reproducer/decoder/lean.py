"""A frozen decoder with nothing in it but the products and the little that must stand between them.

A proto-token step runs a frozen language model forward and backward to its *inputs*. The
library's model spends much of that time around the matrix products: norms with weights, rotary
embeddings made of copies, repeated keys, an attention backward meant for long sequences.
`LeanDecoder` computes the same function with the norm weights folded into the next matrix, one
product for q/k/v and one for gate/up, and hand-written gradients in x alone. It needs no compiler,
never synchronises with the host and has no data-dependent shape, so a CUDA graph can hold a step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reproducer.decoder.llama import convert_llama
from reproducer.decoder.neox import convert_neox
from reproducer.decoder.ops import Tables, attend, position_tables, rms_norm, swiglu
from reproducer.decoder.products import FrozenAffine
from reproducer.decoder.weights import BlockWeights, DecoderParts, DecoderShape

Intervention = Callable[[Tensor, int], Tensor]
FAMILIES = {"llama": convert_llama, "gpt_neox": convert_neox}


def lean_decoder(hf_model: nn.Module) -> LeanDecoder | None:
    """The lean form of a transformers causal language model, or None for a family it does not know.

    Knows Llama and GPT-NeoX (Pythia). Matrices that need no folding share the model's memory.
    """
    family = getattr(getattr(hf_model, "config", None), "model_type", None)
    parts = FAMILIES[family](hf_model) if family in FAMILIES else None
    return None if parts is None else LeanDecoder(parts)


class LeanDecoder(nn.Module):
    """Frozen decoder: embeddings (B, L, d_model) -> hidden states (B, L, d_model).

    Positions are 0..L-1 and the mask is causal. The hidden states are normalised but for the final
    norm's weight (and bias), which `head` (V, d_model) and `head_bias` (V,) or None contain: the
    logits are `hidden @ head.T + head_bias`. Gradients flow to x only.
    """

    head: Tensor
    head_bias: Tensor | None

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__()
        self.shape = parts.shape
        self.blocks = nn.ModuleList(LeanBlock(block, parts.shape) for block in parts.blocks)
        self.register_buffer("head", parts.head.matrix, persistent=False)
        self.register_buffer("head_bias", parts.head.bias, persistent=False)
        self._tables: dict[tuple[int, torch.device, torch.dtype], Tables] = {}

    def forward(self, x: Tensor, after_block: Intervention | None = None) -> Tensor:
        """Normalised hidden states (B, L, d_model) of input embeddings x (B, L, d_model).

        `after_block` may change the states (B, L, d_model) after each block, which it gets with the
        number of the block.
        """
        batch, n_positions, d_model = x.shape
        tables = self._tables_for(n_positions, x)
        stream = x.reshape(batch * n_positions, d_model)
        for number, block in enumerate(self.blocks):
            stream = block(stream, batch, tables)
            if after_block is not None:
                stream = after_block(stream.view_as(x), number).view_as(stream)
        return _norm(stream, self.shape).view(batch, n_positions, d_model)

    def _tables_for(self, n_positions: int, x: Tensor) -> Tables:
        key = (n_positions, x.device, x.dtype)
        if key not in self._tables:
            self._tables[key] = position_tables(self.shape.heads, *key)
        return self._tables[key]


class LeanBlock(nn.Module):
    """Pre-norm attention and MLP, each added to the residual stream, in sequence or in parallel."""

    def __init__(self, weights: BlockWeights, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.qkv = FrozenAffine(weights.qkv)
        self.attention_out = FrozenAffine(weights.attention_out)
        self.mlp_in = FrozenAffine(weights.mlp_in)
        self.mlp_out = FrozenAffine(weights.mlp_out)

    def forward(self, x: Tensor, batch: int, tables: Tables) -> Tensor:
        """Residual stream (B * L, d_model) before the block -> after it."""
        normed = _norm(x, self.shape)
        attended = attend(self.qkv(normed), batch, self.shape.heads, tables)
        x = self.attention_out.added_to(x, attended)
        # Without their weights, the two norms of a parallel block are one and the same.
        normed = normed if self.shape.parallel_residual else _norm(x, self.shape)
        return self.mlp_out.added_to(x, self._activate(self.mlp_in(normed)))

    def _activate(self, inner: Tensor) -> Tensor:
        return swiglu(inner) if self.shape.activation == "swiglu" else F.gelu(inner)


def _norm(x: Tensor, shape: DecoderShape) -> Tensor:
    if shape.norm == "rms":
        return rms_norm(x, shape.norm_eps)
    return F.layer_norm(x, x.shape[-1:], eps=shape.norm_eps)
