"""The network that maps a text's tokens to `e`, and the one `m` that it is used with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from reproducer.errors import ReproducerError

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel

# What an encoder reads: the embeddings of the tokens, or the frozen model's states over them.
Reads = Literal["embeddings", "states"]
N_HEADS = 8


class Design(BaseModel):
    """The form of an encoder for texts of `n_tokens` tokens.

    `reads`: the embeddings of the text's tokens side by side, or as many pooled readings of the
    frozen model's states over the text, each by attention with a learned query. `n_blocks` residual
    blocks of `width` follow, or with 0 nothing: one linear map. `rms` is the root mean square of
    the components of `e` and of `m`, as long as the starts of the recipe `long`: beside its own
    state the first position forgets an input of usual length
    (`reproducer.experiments.first_position`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_tokens: int = Field(ge=1)
    reads: Reads = "embeddings"
    width: int = Field(1024, ge=N_HEADS, multiple_of=N_HEADS)
    n_blocks: int = Field(2, ge=0)
    rms: float = Field(30.0, gt=0)


class Encoder(nn.Module):
    """Features of a text (B, n_tokens, d_model) -> its `e` (B, d_model); `m` is (d_model,).

    Weights are drawn from `seed` on the CPU.
    """

    def __init__(self, design: Design, d_model: int, seed: int = 0) -> None:
        super().__init__()
        self.design = design
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            pooling = design.reads == "states"
            self.pool = Pooling(design.n_tokens, d_model) if pooling else nn.Identity()
            width = design.width if design.n_blocks else d_model
            self.slots = nn.ModuleList(
                nn.Linear(d_model, width, bias=False) for _ in range(design.n_tokens)
            )
            self.blocks = nn.Sequential(*(Block(width) for _ in range(design.n_blocks)))
            self.out = nn.Linear(width, d_model) if design.n_blocks else nn.Identity()
            self.direction = nn.Parameter(torch.randn(d_model))

    def forward(self, features: Tensor) -> Tensor:
        slots = self.pool(features).unbind(1)
        x = sum(slot(part) for slot, part in zip(self.slots, slots, strict=True))
        return self._long(self.out(self.blocks(x)))

    @property
    def m(self) -> Tensor:
        return self._long(self.direction)

    def _long(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * self.design.rms

    def grow_from(self, shorter: Encoder) -> None:
        """Start at an encoder of fewer tokens: what it has is taken over, new slots add nothing.

        Raises:
            ReproducerError: an encoder of more tokens, or that differs in anything else.
        """
        ours, theirs = self.design, shorter.design
        grown = theirs.model_copy(update={"n_tokens": ours.n_tokens})
        if theirs.n_tokens > ours.n_tokens or grown != ours:
            raise ReproducerError(f"expected an encoder that grows to {ours}, got {theirs}")
        if ours.reads == "states" and theirs != ours:
            raise ReproducerError("an encoder that reads states cannot grow: its queries are many")
        for slot in self.slots[theirs.n_tokens :]:
            nn.init.zeros_(slot.weight)
        self.load_state_dict(shorter.state_dict(), strict=False)


class Block(nn.Module):
    """Pre-norm residual block; it begins as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(F.gelu(self.inner(self.norm(x))))


class Pooling(nn.Module):
    """States (B, L, d_model) -> as many readings of them, each by attention with its own query."""

    def __init__(self, n_tokens: int, d_model: int) -> None:
        super().__init__()
        heads = next(n for n in range(N_HEADS, 0, -1) if d_model % n == 0)
        self.places = nn.Parameter(torch.randn(n_tokens, d_model) / d_model**0.5)
        self.queries = nn.Parameter(torch.randn(n_tokens, d_model))
        self.attention = nn.MultiheadAttention(d_model, heads, batch_first=True)

    def forward(self, states: Tensor) -> Tensor:
        states = states + self.places
        queries = self.queries.expand(len(states), -1, -1)
        return self.attention(queries, states, states, need_weights=False)[0]


@torch.no_grad()
def features(lm: LanguageModel, reads: Reads, tokens: Tensor) -> Tensor:
    """What an encoder reads of texts (B, N): (B, N, d_model), of unit mean square, float32.

    The states are those halfway up the frozen model, where it has read the text after its
    beginning-of-text token and does not yet prepare its prediction.
    """
    x = lm.embed(tokens).float()
    if reads == "states":
        first = lm.embed(torch.full((len(tokens), 1), lm.bos_token_id)).float()
        read = lm.hf.base_model(
            inputs_embeds=torch.cat([first, x], 1), use_cache=False, output_hidden_states=True
        )
        x = read.hidden_states[lm.config.num_hidden_layers // 2][:, 1:]
    return F.rms_norm(x, x.shape[-1:], eps=1e-12)


def inputs(e: Tensor, m: Tensor, roles: Sequence[str]) -> Tensor:
    """An arrangement's inputs (B, len(roles), d_model), of `e` (B, d_model) and `m` (d_model,)."""
    of = {"e": e, "m": m.expand_as(e)}
    return torch.stack([of[role] for role in roles], dim=1)
