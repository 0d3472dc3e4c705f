"""What a model family hands over to become a lean decoder: its shape and its folded matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

# Rotary types whose frequencies do not change with the length of the input.
STATIC_ROTARY = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True)
class HeadLayout:
    """Attention heads and the rotary embedding they use.

    Positions turn the pairs (j, j + len(inv_freq)) of a head's dimensions; the rest pass through.
    """

    n_kv: int
    queries_per_kv: int
    head_dim: int
    inv_freq: Tensor = field(compare=False)  # (rotary_dim / 2,)
    rotary_scale: float = 1.0

    @property
    def group(self) -> int:
        """Vectors per key-value head: its queries, its key and its value."""
        return self.queries_per_kv + 2


@dataclass(frozen=True)
class DecoderShape:
    """What the blocks of one model have in common, whatever their weights."""

    heads: HeadLayout
    norm: Literal["rms", "layer"]
    norm_eps: float
    activation: Literal["swiglu", "gelu"]
    parallel_residual: bool = False


class Affine(NamedTuple):
    """y = x @ matrix.T + bias, with matrix (d_out, d_in) and bias (d_out,) or None."""

    matrix: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class BlockWeights:
    """One block's four products; norm weights are folded into the two that read a norm.

    Rows of `qkv` are grouped by key-value head: its queries (scaled by head_dim**-0.5), its key,
    its value. `mlp_in` has the gate's rows, then up's, where the activation is "swiglu".
    """

    qkv: Affine
    attention_out: Affine
    mlp_in: Affine
    mlp_out: Affine


class DecoderParts(NamedTuple):
    """A whole model: blocks in order, the head with the final norm folded in, and the shape."""

    blocks: list[BlockWeights]
    head: Affine
    shape: DecoderShape


def fold_norm(
    product: Affine, weight: Tensor, bias: Tensor | None = None, scale: Tensor | None = None
) -> Affine:
    """The product after a norm with this weight and bias -> the same one after a bare norm.

    W (w * x + b) + c = (W diag(w)) x + (W b + c), each output times `scale` (d_out,) if given.
    Computed in float32 at least and rounded once.
    """
    matrix, offset = product
    precise = torch.promote_types(matrix.dtype, torch.float32)
    folded = matrix.to(precise) * weight.to(precise)
    if bias is not None:
        moved = matrix.to(precise) @ bias.to(precise)
        offset = moved if offset is None else moved + offset.to(precise)
    if scale is not None:
        scale = scale.to(folded)
        folded = folded * scale[:, None]
        offset = None if offset is None else offset * scale
    return Affine(folded.to(matrix.dtype), None if offset is None else offset.to(matrix.dtype))


def query_scale(heads: HeadLayout) -> Tensor:
    """Attention's head_dim**-0.5 on the queries' rows of a grouped q/k/v product, one elsewhere."""
    scale = torch.ones(heads.n_kv, heads.group, heads.head_dim, dtype=torch.float64)
    scale[:, :-2] = heads.head_dim**-0.5
    return scale.flatten()


def affine(linear: torch.nn.Linear) -> Affine:
    """The frozen product of a library's linear layer, sharing its memory."""
    return Affine(linear.weight.detach(), None if linear.bias is None else linear.bias.detach())
