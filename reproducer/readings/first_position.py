"""How much a position's hidden state depends on what is fed there.

Many language models park attention at the first position, whose state then grows huge and says
little of its input. Where that is so, a proto-token at the first position can hardly be told
from another (experiment A1). Not in the papers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from reproducer.experiments import plots
from reproducer.models.language_model import LanguageModel
from reproducer.results.provenance import provenance
from reproducer.results.run import cached_lm
from reproducer.results.specs import Spec
from reproducer.results.store import Result

INPUTS = {"normal": "vectors from N(0, 1)", "words": "embedded random tokens"}


class PositionSpec(Spec):
    """Norm and likeness of the hidden states of `n_draws` random inputs of `n_inputs` positions.

    Arrays, for each kind of input in `INPUTS`: `<kind>_norm`, mean L2 norm, and `<kind>_alike`,
    mean cosine between the states of different draws, both (n_layers + 1, n_inputs), after the
    embedding and after each block.
    """

    kind: Literal["positions"] = "positions"
    n_inputs: int = Field(4, ge=2)
    n_draws: int = Field(16, ge=2)
    seed: int = Field(0, ge=0)

    def run(self) -> Result:
        lm = cached_lm(self.model, self.dtype)
        arrays = {}
        for kind, x in self._draws(lm).items():
            states = hidden_states(lm, x)
            arrays[f"{kind}_norm"] = states.norm(dim=-1).mean(1)
            arrays[f"{kind}_alike"] = likeness(states)
        return Result(self.key, self.model_dump(mode="json"), {}, arrays, provenance(lm))

    def _draws(self, lm: LanguageModel) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(self.seed)
        shape = self.n_draws, self.n_inputs
        return {
            "normal": torch.randn(*shape, lm.d_model, generator=draw),
            "words": lm.embed(torch.randint(0, lm.vocab_size, shape, generator=draw)),
        }


@torch.no_grad()
def hidden_states(lm: LanguageModel, x: Tensor) -> Tensor:
    """States after the embedding and each block, of x (B, L, d): (n_layers + 1, B, L, d), CPU."""
    x = x.to(lm.device, lm.hf.dtype)
    read = lm.hf.base_model(inputs_embeds=x, use_cache=False, output_hidden_states=True)
    return torch.stack([state.float().cpu() for state in read.hidden_states])


def likeness(states: Tensor) -> Tensor:
    """Mean cosine between the states of different draws: (n, B, L, d) → (n, L)."""
    unit = torch.nn.functional.normalize(states, dim=-1)
    n_draws = unit.shape[1]
    # The squared norm of the sum counts every pair twice and each draw with itself once.
    return (unit.sum(1).square().sum(-1) - n_draws) / (n_draws * (n_draws - 1))


def table(result: Result) -> pd.DataFrame:
    """In the middle layer, for each position: norm and likeness, for both kinds of input."""
    middle = len(result.arrays["normal_norm"]) // 2
    columns = {
        f"{what}, {label}": result.arrays[f"{kind}_{name}"][middle].numpy()
        for kind, label in INPUTS.items()
        for what, name in (("norm", "norm"), ("cosine between draws", "alike"))
    }
    rows = pd.RangeIndex(1, 1 + result.spec["n_inputs"], name=f"position, after layer {middle}")
    return pd.DataFrame(columns, index=rows)


def figure(result: Result) -> Figure:
    """Norm and likeness of normal inputs by layer, a line for each position."""
    made, axes = plots.figure(2)
    norm, alike = (result.arrays[f"normal_{name}"].numpy() for name in ("norm", "alike"))
    layers = np.arange(len(norm))
    for position, style in plots.line_styles(range(norm.shape[1])).items():
        style = style | {"markevery": max(1, len(layers) // 8), "label": position + 1}
        axes[0].plot(layers, norm[:, position], **style)
        axes[1].plot(layers, alike[:, position], **style)
    axes[0].set(xlabel="layer", ylabel="norm of the state", yscale="log")
    axes[1].set(xlabel="layer", ylabel="cosine between draws", ylim=(-0.05, 1.05))
    axes[1].legend(title="position")
    return made
