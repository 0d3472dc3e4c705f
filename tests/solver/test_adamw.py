"""The batched update against torch's own AdamW."""

import pytest
import torch

from reproducer.solver.adamw import adamw_step
from reproducer.solver.recipes import Recipe


@pytest.mark.parametrize("betas", [(0.9, 0.9), (0.9, 0.999)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_equals_torch_adamw_over_200_steps(betas, weight_decay):
    recipe = Recipe(name="x", lr=0.03, betas=betas, weight_decay=weight_decay)
    draw = torch.Generator().manual_seed(1)
    start = torch.randn(3, 2, 5, generator=draw, dtype=torch.float64)
    theirs = [start[i].clone().requires_grad_() for i in range(3)]
    options = dict(lr=0.03, betas=betas, eps=recipe.eps, weight_decay=weight_decay)
    optimizers = [torch.optim.AdamW([p], **options) for p in theirs]
    ours, state = start.clone(), [torch.zeros_like(start) for _ in range(2)]
    # Problem i starts i·7 steps late, as a refilled slot does.
    step = torch.zeros(3, dtype=torch.long)
    for now in range(200):
        grad = torch.randn(3, 2, 5, generator=draw, dtype=torch.float64)
        for i in range(3):
            if now < 7 * i:
                grad[i] = 0
                continue
            theirs[i].grad = grad[i]
            optimizers[i].step()
        begun = torch.tensor([now >= 7 * i for i in range(3)])
        if not begun.all():
            late = ~begun
            kept = ours[late].clone()
        step[begun] += 1
        adamw_step(ours, grad, *state, step.clamp(min=1), recipe)
        if not begun.all():
            ours[late] = kept
    expected = torch.stack([p.detach() for p in theirs])
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-12)


def test_cosine_decay_starts_at_lr_and_ends_at_its_share():
    recipe = Recipe(name="x", lr=0.1, decay_to=0.1, max_steps=100)
    lr = recipe.lr_at(torch.tensor([0.0, 50.0, 100.0, 500.0]))
    torch.testing.assert_close(lr, torch.tensor([0.1, 0.055, 0.01, 0.01]))
