"""Token by token: what a frozen model writes after given input vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel


@torch.no_grad()
def write_after(
    lm: LanguageModel, start: Tensor, n_tokens: int, seeds: Sequence[int], temperature: float = 1.0
) -> Tensor:
    """`n_tokens` token ids after each row of `start`, special tokens excluded.

    Args:
        start: input embeddings (B, L, d_model), float32.
        seeds: one a row; every row draws from its own stream, so its text does not depend on
            its neighbours beyond rounding.
        temperature: 0 takes the most likely token.

    Returns:
        (B, n_tokens), on the CPU.
    """
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    special = sorted(set(lm.tokenizer.all_special_ids) | {lm.bos_token_id})
    banned = [token for token in special if token < lm.vocab_size]
    x, cache, columns = start.to(lm.device), None, []
    for _ in range(n_tokens):
        out = lm.hf(inputs_embeds=x, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        logits = require_finite(lm, out.logits[:, -1].float().cpu())
        logits[:, banned] = -torch.inf
        columns.append(_next(logits, draws, temperature))
        x = lm.embed(columns[-1])
    return torch.cat(columns, dim=1)


def require_finite(lm: LanguageModel, numbers: Tensor) -> Tensor:
    """`numbers` that the model gave; raises if one is none, since what is drawn from it is noise.

    Of NaN the most likely token is the first of the vocabulary.
    """
    if not numbers.isfinite().all():
        raise ReproducerError(f"model {lm.name!r}: expected finite numbers, got NaN or infinity")
    return numbers


def _next(logits: Tensor, draws: list[torch.Generator], temperature: float) -> Tensor:
    """The next token of each row: (B, V) → (B, 1)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    shares = (logits / temperature).softmax(-1)
    drawn = [torch.multinomial(p, 1, generator=g) for p, g in zip(shares, draws, strict=True)]
    return torch.stack(drawn)


@torch.no_grad()
def greedy_tokens(lm: LanguageModel, mem: Tensor, n_tokens: int) -> Tensor:
    """Greedy decoding in float32 after `mem` (B, K, d_model): token ids (B, n_tokens).

    Every token is fed back as the next input; nothing of the wanted text is.
    """
    x, cache, written = mem.float(), None, []
    for _ in range(n_tokens):
        out = lm.hf(inputs_embeds=x, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        written.append(require_finite(lm, out.logits[:, -1]).argmax(-1))
        x = lm.embed(written[-1])[:, None]  # (B, 1, d_model)
    return torch.stack(written, dim=1)
