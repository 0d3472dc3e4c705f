"""Products with frozen matrices, packed once into the layout a CPU's bfloat16 kernels work in.

A product repacks a plain matrix on every call. For a frozen one that is wasted work: 20 % of the
time with 64 rows, 5 % with 256, and more where matrix units make the product itself cheaper. The
packed form is oneDNN's; the backward pass needs the transpose, so two packed copies replace the
plain matrix.
"""

from __future__ import annotations

from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from reproducer.decoder.weights import Affine

# The packed layout depends little on the number of rows; it is chosen for this many.
_TYPICAL_ROWS = 256
_PACKING = Lock()  # parts of a batch meet their first product at the same time


class FrozenAffine(nn.Module):
    """x @ matrix.T + bias for rows x (n, d_in), without gradients for matrix or bias.

    The first use in bfloat16 on a CPU packs the matrix; from then on the module stays there.
    """

    matrix: Tensor | None
    bias: Tensor | None

    def __init__(self, weights: Affine) -> None:
        super().__init__()
        self.register_buffer("matrix", weights.matrix, persistent=False)
        self.register_buffer("bias", weights.bias, persistent=False)
        self._packed: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(n, d_in) -> (n, d_out)."""
        if self._is_packed():
            return _PackedProduct.apply(x, None, *self._packed, self.bias)
        return F.linear(x, self.matrix, self.bias)

    def added_to(self, stream: Tensor, x: Tensor) -> Tensor:
        """stream (n, d_out) + affine(x), the sum being part of the product."""
        if self._is_packed():
            return _PackedProduct.apply(x, stream, *self._packed, self.bias)
        return torch.addmm(stream if self.bias is None else stream + self.bias, x, self.matrix.T)

    def _is_packed(self) -> bool:
        if self._packed is None:
            with _PACKING:
                if self._packed is None and _can_pack(self.matrix):
                    self._packed = _pack(self.matrix), _pack(self.matrix.T.contiguous())
                    self.matrix = None
        return self._packed is not None


class _PackedProduct(Function):
    """x @ matrix.T + bias (+ stream); its gradient is a product with the packed transpose."""

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        stream: Tensor | None,
        packed: Tensor,
        packed_transpose: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        ctx.packed_transpose, ctx.adds = packed_transpose, stream is not None
        if stream is None:
            return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
        return torch.ops.mkldnn._linear_pointwise.binary(x, stream, packed, bias, "add")

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_x = torch.ops.mkldnn._linear_pointwise(
            grad, ctx.packed_transpose, None, "none", [], ""
        )
        return grad_x, grad if ctx.adds else None, None, None, None


def _can_pack(matrix: Tensor) -> bool:
    return (
        matrix.dtype == torch.bfloat16
        and matrix.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def _pack(matrix: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():  # the packed form may serve a gradient later
        return torch.ops.mkldnn._reorder_linear_weight(matrix.clone(), _TYPICAL_ROWS)
