"""What an encoder is trained on: every stretch of N tokens of some texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from reproducer.errors import ReproducerError


def windows(texts: Iterable[Sequence[int]], n_tokens: int) -> Tensor:
    """All runs of `n_tokens` tokens of each text, (n_windows, n_tokens); a shorter text has none.

    Raises:
        ReproducerError: no text has so many tokens.
    """
    long = [torch.tensor(text) for text in texts if len(text) >= n_tokens]
    if not long:
        raise ReproducerError(f"expected a text of {n_tokens} or more tokens to train on, got none")
    return torch.cat([text.unfold(0, n_tokens, 1) for text in long])
