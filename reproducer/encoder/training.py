"""Training an encoder through the frozen model's own loss.

Each step takes a batch of texts, maps them to their `e`, feeds `e` and `m` in an arrangement, and
follows the gradient of the cross-entropy of the texts' tokens back into the encoder and `m`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from tqdm import tqdm

from reproducer.decoder.head import head_loss
from reproducer.encoder.network import Encoder, features, inputs
from reproducer.errors import ReproducerError
from reproducer.files import replace_bytes
from reproducer.solver.arrangements import Arrangement

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel

# A point of the curve is the mean over so many steps; a checkpoint is written as often.
STEPS_A_POINT = 50


class Plan(BaseModel):
    """How an encoder is trained: AdamW, a linear warm-up, a linear end of the learning rate.

    `text_steps` counts texts, each once a step it takes part in; the last `cooling` of the steps
    lower the rate to nothing. Gradients longer than 1 are shortened to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    text_steps: int = Field(ge=1)
    batch: int = Field(32, ge=1)
    lr: float = Field(1e-3, gt=0)
    warm_up: int = Field(20, ge=0)
    cooling: float = Field(0.4, ge=0, le=1)

    @property
    def n_steps(self) -> int:
        return -(-self.text_steps // self.batch)

    def share_of_lr(self, step: int) -> float:
        """The factor of the learning rate at a step, counted from 0."""
        rising = (step + 1) / (self.warm_up + 1)
        falling = (self.n_steps - step) / (self.cooling * self.n_steps or 1)
        return min(1.0, rising, falling)


class Point(NamedTuple):
    """Means over the steps since the point before: text-steps so far, nats, accuracy."""

    text_steps: int
    nats: float
    accuracy: float


def decode_once(
    lm: LanguageModel, arrangement: Arrangement, e: Tensor, m: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """One forward pass of `e` (B, d_model) and `m` (d_model,) for texts (B, N).

    Returns nats (B, N), differentiable in `e` and `m`, and the predicted tokens (B, N), in the
    dtype that `lm` solves in.
    """
    x = inputs(e, m, arrangement.roles(tokens.shape[1])).to(lm.device, lm.dtype)
    decoder = lm.decoder()
    hidden = decoder(x)[:, arrangement.offset :].flatten(0, 1)
    flat = tokens.to(lm.device).flatten()
    nats, predicted = head_loss(hidden, decoder.head, decoder.head_bias, flat)
    return nats.view(tokens.shape), predicted.view(tokens.shape)


def train(
    lm: LanguageModel,
    encoder: Encoder,
    texts: Tensor,
    plan: Plan,
    arrangement: Arrangement,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> list[Point]:
    """Train `encoder` in place on texts (n_texts, N); returns the curve.

    The loss of a point is that of texts before they are learned from. What an earlier call with the
    same arguments left in the file `checkpoint` is gone on from; the file is removed at the end.

    Raises:
        ReproducerError: a loss that is not finite.
    """
    encoder.to(lm.device)
    optimizer = torch.optim.AdamW(
        encoder.parameters(), lr=plan.lr, betas=(0.9, 0.95), weight_decay=0.0
    )
    curve = _resume(checkpoint, encoder, optimizer)
    begun = len(curve) * STEPS_A_POINT
    sums = torch.zeros(2)
    with tqdm(total=plan.text_steps, initial=begun * plan.batch, disable=None) as line:
        for step, batch in _batches(texts, plan, seed, begun):
            sums += _step(lm, encoder, optimizer, batch, plan.share_of_lr(step), arrangement, plan)
            line.update(len(batch))
            if (step + 1) % STEPS_A_POINT and step + 1 < plan.n_steps:
                continue
            n_steps = step % STEPS_A_POINT + 1
            curve.append(Point((step + 1) * plan.batch, *(sums / n_steps).tolist()))
            sums.zero_()
            _keep(checkpoint, encoder, optimizer, curve)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return curve


def _batches(texts: Tensor, plan: Plan, seed: int, begun: int) -> Iterator[tuple[int, Tensor]]:
    """Step and batch; which texts a step takes is drawn from the seed and the step alone."""
    for step in range(begun, plan.n_steps):
        draw = torch.Generator().manual_seed(seed * 1_000_003 + step)
        yield step, texts[torch.randint(len(texts), (plan.batch,), generator=draw)]


def _step(
    lm: LanguageModel,
    encoder: Encoder,
    optimizer: torch.optim.Optimizer,
    batch: Tensor,
    share_of_lr: float,
    arrangement: Arrangement,
    plan: Plan,
) -> Tensor:
    """One step; the batch's mean nats and accuracy before it, (2,)."""
    for group in optimizer.param_groups:
        group["lr"] = plan.lr * share_of_lr
    e = encoder(features(lm, encoder.design.reads, batch))
    nats, predicted = decode_once(lm, arrangement, e, encoder.m, batch)
    loss = nats.mean()
    if not loss.isfinite():
        raise ReproducerError("expected a finite loss of the encoder, got NaN or infinity")
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimizer.step()
    return torch.stack([loss.detach().cpu(), (predicted.cpu() == batch).float().mean()])


def _keep(
    path: Path | None, encoder: Encoder, optimizer: torch.optim.Optimizer, curve: list[Point]
) -> None:
    if path is None:
        return
    state: dict[str, Any] = {
        "encoder": encoder.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curve": [tuple(point) for point in curve],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(state, content)
    replace_bytes(path, content.getvalue())


def _resume(path: Path | None, encoder: Encoder, optimizer: torch.optim.Optimizer) -> list[Point]:
    if path is None or not path.exists():
        return []
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        encoder.load_state_dict(state["encoder"])
        optimizer.load_state_dict(state["optimizer"])
        return [Point(*point) for point in state["curve"]]
    # The library raises whatever its parts do.
    except Exception as error:
        raise ReproducerError(
            f"the checkpoint {path} is damaged: remove it to train from the start ({error!r:.200})"
        ) from error
