"""AdamW for a batch of problems that started at different times."""

from __future__ import annotations

import torch
from torch import Tensor

from reproducer.solver.recipes import Recipe


@torch.no_grad()
def adamw_step(
    rows: Tensor, grad: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, step: Tensor, recipe: Recipe
) -> None:
    """One AdamW update in place, equal to `torch.optim.AdamW` for each problem by itself.

    Args:
        rows, grad, exp_avg, exp_avg_sq: (n_problems, n_rows, d_model), float32.
        step: (n_problems,), the 1-based number of this step in each problem.

    Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization, algorithm 2.
    """
    beta1, beta2 = recipe.betas
    count = step.to(rows.dtype).view(-1, 1, 1)
    lr = recipe.lr_at(count)
    rows.mul_(1 - lr * recipe.weight_decay)
    exp_avg.lerp_(grad, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    debiased = (exp_avg_sq / (1 - beta2**count)).sqrt_().add_(recipe.eps)
    rows.sub_(exp_avg / debiased * (lr / (1 - beta1**count)))
