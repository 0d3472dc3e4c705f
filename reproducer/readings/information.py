"""How much information a text holds as the frozen model sees it.

`H_LM = − Σ_i log P_LM(t_i | t_<i)` in nats (Mezentsev & Oseledets §3): the model reads the
text autoregressively, in float32, with its beginning-of-text token in front.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reproducer.decoder.head import head_loss
from reproducer.models.language_model import LanguageModel
from reproducer.models.sampling import require_finite

CHUNK_TEXTS = 16


@torch.no_grad()
def token_nats(lm: LanguageModel, tokens: Tensor) -> Tensor:
    """`−log P(t_i | t_<i)` of every token: (n_texts, n_tokens) → the same shape, float32."""
    decoder = lm.decoder(torch.float32)
    parts = []
    for chunk in tokens.to(lm.device).split(CHUNK_TEXTS):
        start = chunk.new_full((len(chunk), 1), lm.bos_token_id)
        read = torch.cat([start, chunk[:, :-1]], dim=1)
        hidden = decoder(lm.embed(read)).flatten(0, 1)
        nats, _ = head_loss(hidden, decoder.head, decoder.head_bias, chunk.flatten())
        parts.append(nats.view(chunk.shape))
    return require_finite(lm, torch.cat(parts))


def h_lm_nats(lm: LanguageModel, tokens: Tensor) -> Tensor:
    """`H_LM` in nats of each text: (n_texts, n_tokens) → (n_texts,)."""
    return token_nats(lm, tokens).sum(1)

