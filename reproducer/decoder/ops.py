"""What stands between a frozen decoder's products: norm, activation, rotary attention.

Each is written for gradients in its input alone and keeps for the backward pass only what cannot be
recomputed cheaply. On the CPU attention is plain batched products and a softmax: the backward pass
of `scaled_dot_product_attention` there takes several times as long at the lengths of proto-tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from reproducer.decoder.weights import HeadLayout

# Shorter than this, half-precision products of attention are slower on a CPU than float32 ones.
_SHORT = 32
# Queries attend block by block, so that a long causal product skips most of its masked half.
_QUERY_BLOCK = 64

Tables = tuple[Tensor, Tensor, Tensor]


def position_tables(
    heads: HeadLayout, n_positions: int, device: torch.device, dtype: torch.dtype
) -> Tables:
    """Cosines (group, L, head_dim), sines (L, rotary_dim / 2), mask (key, query head, query).

    The cosine is one where nothing turns: values, and dimensions beyond the rotary ones. The mask
    covers one block of queries and its own keys. Angles are float32, as in the library.
    """
    if device.type == "cpu":  # there, arithmetic in half precision is float32 behind two casts
        dtype = torch.promote_types(dtype, torch.float32)
    with torch.inference_mode(False), torch.no_grad():  # kept tables may serve a gradient later
        positions = torch.arange(n_positions, device=device)
        angles = positions[:, None] * heads.inv_freq.to(device, torch.float32)
        cos = torch.ones(heads.group, n_positions, heads.head_dim, device=device, dtype=dtype)
        cos[:-1, :, : 2 * angles.shape[1]] = (angles.cos() * heads.rotary_scale).repeat(1, 2)
        sin = (angles.sin() * heads.rotary_scale).to(dtype)
        block = positions[:_QUERY_BLOCK]
        mask = torch.zeros(len(block), len(block), device=device, dtype=dtype)
        mask.masked_fill_(block[:, None] > block, float("-inf"))
        return cos, sin, mask[:, None].repeat(1, heads.queries_per_kv, 1)


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) over the last axis of x (n, d)."""
    return F.rms_norm(x, x.shape[-1:], eps=eps) if x.is_cuda else _RmsNorm.apply(x, eps)


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of (n, 2 * d_mlp) -> (n, d_mlp)."""
    return _SwiGlu.apply(gate_up)


def attend(qkv: Tensor, batch: int, heads: HeadLayout, tables: Tables) -> Tensor:
    """Rotary causal attention: (B * L, n_kv * group * head_dim) -> (B * L, n_heads * head_dim)."""
    grouped = qkv.view(batch, -1, heads.n_kv, heads.group, heads.head_dim)
    return attend_fused(grouped, tables) if qkv.is_cuda else attend_plain(grouped, tables)


def attend_plain(grouped: Tensor, tables: Tables) -> Tensor:
    """`attend` of (B, L, n_kv, group, head_dim) by batched products."""
    return _PlainAttention.apply(grouped, *tables)


def attend_fused(grouped: Tensor, tables: Tables) -> Tensor:
    """`attend` of (B, L, n_kv, group, head_dim) by the device's fused attention kernel."""
    q, k, v = _RotaryHeads.apply(grouped, *tables[:2])  # (B, L, heads, head_dim)
    q, k, v = (heads.transpose(1, 2) for heads in (q, k, v))
    shared = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0, enable_gqa=shared)
    return out.transpose(1, 2).reshape(grouped.shape[0] * grouped.shape[1], -1)


class _RmsNorm(Function):
    """Keeps x, which the residual stream keeps anyway, and one scale per row."""

    @staticmethod
    def forward(ctx, x: Tensor, eps: float) -> Tensor:
        precise = torch.promote_types(x.dtype, torch.float32)
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=precise)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, scale)
        return torch.mul(x, scale, out=torch.empty_like(x))

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        x, scale = ctx.saved_tensors
        along = (grad * x).sum(-1, keepdim=True)
        pull = (along * scale.square()).div_(-x.shape[-1]).to(x.dtype)
        return torch.addcmul(grad, x, pull).mul_(scale.to(x.dtype)), None


class _SwiGlu(Function):
    """Keeps its input alone: recomputing silu costs less than the memory of another (n, d_mlp)."""

    @staticmethod
    def forward(ctx, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, -1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        grad_gate_up = torch.empty_like(gate_up)
        grad_gate, grad_up = grad_gate_up.chunk(2, -1)
        torch.mul(grad, F.silu(gate), out=grad_up)
        torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=grad_gate)
        return grad_gate_up


class _PlainAttention(Function):
    """Rotary, scores, softmax and mixing in one node; keeps rotated heads and probabilities.

    Scores are laid out (key, query): a softmax over any but the last axis vectorises across the
    queries even when there are only eight keys. The queries of one key-value head are rows of one
    product, so keys and values are never repeated.
    """

    @staticmethod
    def forward(ctx, grouped: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        batch, length, n_kv, group, head_dim = grouped.shape
        heads = torch.empty(batch, n_kv, group, length, head_dim, dtype=cos.dtype)
        heads.copy_(_by_head(grouped))
        rotated = torch.empty_like(heads)
        _rotate(heads, rotated, cos, sin, n_turned=-1)
        rotated = rotated.to(_score_dtype(grouped.dtype, length))
        mask = mask.to(rotated.dtype)
        q, k, v = _split_heads(rotated)
        out = grouped.new_empty(batch, length, n_kv, group - 2, head_dim)
        by_head = _by_head(out)
        probabilities = []
        for block in _query_blocks(length):
            size = block.stop - block.start
            scores = torch.bmm(k[:, : block.stop], _rows(q, block).mT)
            scores[:, block.start :] += mask[:size, :, :size].reshape(size, -1)
            p = torch.softmax(scores, 1)  # (B * n_kv, keys, queries_per_kv * size)
            mixed = torch.bmm(p.mT, v[:, : block.stop])
            by_head[:, :, :, block] = mixed.view(batch, n_kv, -1, size, head_dim)
            probabilities.append(p)
        ctx.save_for_backward(rotated, cos, sin, *probabilities)
        return out.view(batch * length, -1)

    @staticmethod
    def backward(ctx, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        rotated, cos, sin, *probabilities = ctx.saved_tensors
        batch, n_kv, group, length, head_dim = rotated.shape
        by_token = grad_out.reshape(batch, length, n_kv, group - 2, head_dim)
        grad_mixed = _by_head(by_token).to(rotated.dtype).flatten(0, 1)
        grad = torch.empty_like(rotated)
        q, k, v = _split_heads(rotated)
        grad_q, grad_k, grad_v = _split_heads(grad)
        for block, p in zip(_query_blocks(length), probabilities, strict=True):
            rows = _rows(grad_mixed, block)
            grad_p = torch.bmm(v[:, : block.stop], rows.mT)
            grad_s = torch._softmax_backward_data(grad_p, p, 1, p.dtype)
            share = torch.bmm(grad_s.mT, k[:, : block.stop])
            grad_q[:, :, block] = share.view(batch * n_kv, group - 2, -1, head_dim)
            _accumulate(grad_k, torch.bmm(grad_s, _rows(q, block)))
            _accumulate(grad_v, torch.bmm(p, rows))
        grad = grad.to(cos.dtype)
        turned_back = torch.empty_like(grad)
        _rotate(grad, turned_back, cos, -sin, n_turned=-1)
        grad_grouped = grad_out.new_empty(batch, length, n_kv, group, head_dim)
        _by_head(grad_grouped).copy_(turned_back)
        return grad_grouped, None, None, None


class _RotaryHeads(Function):
    """(B, L, n_kv, group, head_dim) -> rotated q and k, and v, each (B, L, heads, head_dim)."""

    @staticmethod
    def forward(ctx, grouped: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(cos, sin)
        batch, length, n_kv, group, head_dim = grouped.shape
        q = grouped.new_empty(batch, length, n_kv, group - 2, head_dim)
        kv = grouped.new_empty(batch, length, n_kv, 2, head_dim)
        _rotate(_by_head(grouped[..., :-2, :]), _by_head(q), cos[:-2], sin)
        _rotate(_by_head(grouped[..., -2:, :]), _by_head(kv), cos[-2:], sin, n_turned=1)
        return q.flatten(2, 3), kv[..., 0, :], kv[..., 1, :]

    @staticmethod
    def backward(ctx, grad_q: Tensor, grad_k: Tensor, grad_v: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        batch, length, n_kv, head_dim = grad_k.shape
        grad = grad_k.new_empty(batch, length, n_kv, len(cos), head_dim)
        grad_q = grad_q.unflatten(2, (n_kv, -1))
        _rotate(_by_head(grad_q), _by_head(grad[..., :-2, :]), cos[:-2], -sin)
        _rotate(_by_head(grad_k[..., None, :]), _by_head(grad[..., -2:-1, :]), cos[-2:-1], -sin)
        grad[..., -1, :] = grad_v
        return grad, None, None


def _rotate(
    heads: Tensor, out: Tensor, cos: Tensor, sin: Tensor, n_turned: int | None = None
) -> None:
    """Write heads (B, n_kv, m, L, head_dim), the first n_turned of m rotated, to `out`.

    One product and two multiply-adds do the rotation, the change of layout and that of dtype.
    """
    half = sin.shape[-1]
    torch.mul(heads, cos, out=out)
    heads, out = heads[:, :, :n_turned], out[:, :, :n_turned]
    out[..., :half].addcmul_(heads[..., half : 2 * half], sin, value=-1)
    out[..., half : 2 * half].addcmul_(heads[..., :half], sin)


def _score_dtype(dtype: torch.dtype, length: int) -> torch.dtype:
    """The dtype of attention's products: short ones in half precision are slower than float32."""
    return torch.promote_types(dtype, torch.float32) if length <= _SHORT else dtype


def _by_head(by_token: Tensor) -> Tensor:
    """(B, L, n_kv, m, head_dim) -> (B, n_kv, m, L, head_dim), a view."""
    return by_token.permute(0, 2, 3, 1, 4)


def _split_heads(heads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, n_kv, group, L, head_dim) -> q (B * n_kv, group - 2, L, head_dim), k, v: views."""
    merged = heads.flatten(0, 1)
    return merged[:, :-2], merged[:, -2], merged[:, -1]


def _query_blocks(length: int) -> list[slice]:
    """Blocks of queries, the last first: it sees every key, so its gradient starts the sums."""
    starts = range(0, length, _QUERY_BLOCK)
    return [slice(start, min(start + _QUERY_BLOCK, length)) for start in reversed(starts)]


def _rows(heads: Tensor, block: slice) -> Tensor:
    """A block of positions of (n, m, L, head_dim) as rows (n, m * size, head_dim)."""
    return heads[:, :, block].flatten(1, 2)


def _accumulate(total: Tensor, share: Tensor) -> None:
    """Add the gradient of the first keys; the share of all of them comes first and is written."""
    first = total[:, : share.shape[1]]
    if share.shape == total.shape:
        first.copy_(share)
    else:
        first.add_(share)
