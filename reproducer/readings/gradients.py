"""How much of an input arrives at its own position's output, by layer. Not in the papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.results.specs import Measurement, Outcome, Result

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel


class GradientSpec(Measurement):
    """The derivative of a position's normalised state by the input at the same position.

    For embedded random tokens x and the state h_l after block l, J = ∂(h_l / |h_l|) / ∂x · |x|: how
    far the state turns when the input changes by its own length. Read from `n_probes` random
    directions v, as Jᵀv. Arrays, each (n_draws, n_layers read, n_positions): `turn`, the Frobenius
    norm of J, and `rank`, the participation ratio (Σs²)² / Σs⁴ of the probes' singular values s, at
    most `n_probes`. `layers`: after which blocks; the embedding is 0.
    """

    kind: Literal["gradients"] = "gradients"
    positions: tuple[int, ...] = (1, 2)
    every: int = Field(3, ge=1)
    n_draws: int = Field(8, ge=1)
    n_probes: int = Field(32, ge=2)
    seed: int = Field(0, ge=0)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        import torch

        n_layers = lm.config.num_hidden_layers
        layers = [*range(0, n_layers, self.every), n_layers]
        draw = torch.Generator().manual_seed(self.seed)
        n_inputs = max(self.positions)
        turn = torch.zeros(self.n_draws, len(layers), len(self.positions))
        rank = torch.zeros_like(turn)
        for number in range(self.n_draws):
            tokens = torch.randint(0, lm.vocab_size, (1, n_inputs), generator=draw)
            probes = torch.randn(self.n_probes, lm.d_model, generator=draw)
            x = lm.embed(tokens).expand(self.n_probes, -1, -1)
            for place, position in enumerate(self.positions):
                for layer, pulled in zip(
                    layers, pulled_back(lm, x, probes, position - 1, layers), strict=True
                ):
                    at = number, layers.index(layer), place
                    pulled = pulled * x[0, position - 1].norm()
                    # E |Jᵀv|² over v from N(0, 1) is |J|².
                    turn[at] = pulled.square().sum(1).mean().sqrt()
                    rank[at] = participation(pulled)
        return Outcome({"layers": layers}, {"turn": turn, "rank": rank})


def pulled_back(
    lm: LanguageModel, x: Tensor, probes: Tensor, position: int, layers: Sequence[int]
) -> list[Tensor]:
    """Jᵀv for each row v of `probes` (K, d), after each of `layers`: (K, d) each.

    `x` (K, L, d) has K copies of one input. The last layer's state stands behind the final norm.
    """
    import torch
    from torch.nn.functional import normalize

    x = x.detach().to(lm.device).requires_grad_()
    read = lm.hf.base_model(inputs_embeds=x, use_cache=False, output_hidden_states=True)
    rows = []
    for layer in layers:
        unit = normalize(read.hidden_states[layer][:, position].float(), dim=-1)
        along = (unit * probes.to(unit.device)).sum()
        (grad,) = torch.autograd.grad(along, x, retain_graph=True)
        rows.append(grad[:, position].cpu())
    return rows


def participation(rows: Tensor) -> Tensor:
    """The participation ratio (Σs²)² / Σs⁴ of the singular values s of `rows` (K, d)."""
    squares = (rows @ rows.T).double()
    return squares.trace() ** 2 / squares.square().sum()
