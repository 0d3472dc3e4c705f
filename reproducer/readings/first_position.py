"""How much a position's hidden state depends on what is fed there.

Many language models park attention at the first position, whose state then grows huge and says
little of its input. Where that is so, a proto-token at the first position can hardly be told
from another (experiment A1). Not in the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.results.specs import Measurement, Outcome, Result

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel

INPUTS = {"normal": "vectors from N(0, 1)", "words": "embedded random tokens"}


class PositionSpec(Measurement):
    """Norm and likeness of the hidden states of `n_draws` random inputs of `n_inputs` positions.

    Arrays, for each kind of input in `INPUTS`: `<kind>_norm`, mean L2 norm, and `<kind>_alike`,
    mean cosine between the states of different draws, both (n_layers + 1, n_inputs), after the
    embedding and after each block.
    """

    kind: Literal["positions"] = "positions"
    n_inputs: int = Field(4, ge=2)
    n_draws: int = Field(16, ge=2)
    seed: int = Field(0, ge=0)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        arrays = {}
        for kind, x in self._draws(lm).items():
            states = hidden_states(lm, x)
            arrays[f"{kind}_norm"] = states.norm(dim=-1).mean(1)
            arrays[f"{kind}_alike"] = likeness(states)
        return Outcome({}, arrays)

    def _draws(self, lm: LanguageModel) -> dict[str, Tensor]:
        import torch

        draw = torch.Generator().manual_seed(self.seed)
        shape = self.n_draws, self.n_inputs
        return {
            "normal": torch.randn(*shape, lm.d_model, generator=draw),
            "words": lm.embed(torch.randint(0, lm.vocab_size, shape, generator=draw)),
        }


def hidden_states(lm: LanguageModel, x: Tensor) -> Tensor:
    """States after the embedding and each block, of x (B, L, d): (n_layers + 1, B, L, d), CPU."""
    import torch

    x = x.to(lm.device, lm.hf.dtype)
    with torch.no_grad():
        read = lm.hf.base_model(inputs_embeds=x, use_cache=False, output_hidden_states=True)
    return torch.stack([state.float().cpu() for state in read.hidden_states])


def likeness(states: Tensor) -> Tensor:
    """Mean cosine between the states of different draws: (n, B, L, d) → (n, L)."""
    from torch.nn.functional import normalize

    unit = normalize(states, dim=-1)
    n_draws = unit.shape[1]
    # The squared norm of the sum counts every pair twice and each draw with itself once.
    return (unit.sum(1).square().sum(-1) - n_draws) / (n_draws * (n_draws - 1))

