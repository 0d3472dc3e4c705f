"""The obvious way to fit proto-tokens, written plainly: what the solver is measured against.

One text at a time through the library's model in float32, full logits, torch's own AdamW,
accuracy and loss read at every step. Nothing here is made slow on purpose.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def obvious_fit(
    hf: nn.Module, rows: Tensor, index: Tensor, targets: Tensor, offset: int, n_steps: int
) -> tuple[Tensor, float]:
    """Fit one text with the papers' recipe for `n_steps` steps.

    Args:
        hf: the library's frozen causal language model, float32.
        rows: start values of `e` and `m`, (2, d_model).
        index: which row each input takes, (n_inputs,).
        targets: token ids, (n_tokens,); inputs `offset …` predict them.

    Returns:
        (best rows, best accuracy).
    """
    rows = rows.clone().requires_grad_()
    optimizer = torch.optim.AdamW([rows], lr=0.01, betas=(0.9, 0.9), weight_decay=0.01)
    best_accuracy, best_rows = -1.0, rows.detach().clone()
    losses = []
    for _ in range(n_steps):
        logits = hf(inputs_embeds=rows[index][None], use_cache=False).logits[0, offset:]
        loss = nn.functional.cross_entropy(logits, targets)
        accuracy = (logits.argmax(-1) == targets).float().mean().item()
        losses.append(loss.item())
        if accuracy > best_accuracy:
            best_accuracy, best_rows = accuracy, rows.detach().clone()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return best_rows, best_accuracy
