"""The lean decoder with a limit on the length of the first position's state. Not in the papers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from reproducer.decoder.lean import LeanDecoder
from reproducer.errors import ReproducerError


class ClampedDecoder(nn.Module):
    """A lean decoder whose first position obeys `limits` (n_layers,) on the length of its state.

    Raises:
        ReproducerError: a decoder of the library, which has no place for it.
    """

    def __init__(self, lean: nn.Module, limits: Sequence[float]) -> None:
        super().__init__()
        if not isinstance(lean, LeanDecoder):
            raise ReproducerError(
                f"expected a model of a family with a lean decoder, got {type(lean).__name__}"
            )
        self.lean, self.head, self.head_bias = lean, lean.head, lean.head_bias
        self.after_block = partial(clamp_first, limits=limits)

    def forward(self, x: Tensor) -> Tensor:
        """As the decoder's own."""
        return self.lean(x, self.after_block)


def clamp_first(states: Tensor, block: int, limits: Sequence[float]) -> Tensor:
    """States (B, L, d) after a block, those at the first position no longer than its limit."""
    first = states[:, :1]
    norm = torch.linalg.vector_norm(first.float(), dim=-1, keepdim=True)
    first = first * (limits[block] / norm).clamp(max=1).to(first.dtype)
    return torch.cat([first, states[:, 1:]], dim=1)
