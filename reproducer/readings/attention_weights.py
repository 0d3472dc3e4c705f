"""Attention weights of a frozen model, reduced one layer at a time.

The weights come out of the library's own eager attention through a hook on each layer. The
hook keeps only what `reduce` makes of them, so at any time the weights of one layer exist:
(B, heads, L, L) rather than that times the number of layers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel


@torch.no_grad()
def layer_attention(
    lm: LanguageModel, x: Tensor, reduce: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """`reduce` of the attention weights (B, heads, L, L) of each layer, in float32.

    Args:
        x: input embeddings (B, L, d_model).

    Raises:
        ReproducerError: an architecture whose attention layers do not give their weights.
    """
    found: dict[int, Tensor] = {}
    layers = _attention_layers(lm)

    def keep(number: int) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple, output: tuple) -> None:
            if not isinstance(output, tuple) or output[1] is None:
                raise ReproducerError(
                    f"model {lm.name!r}: expected attention layers that return their weights, "
                    f"got {type(module).__name__}"
                )
            found[number] = reduce(output[1].float())

        return hook

    with contextlib.ExitStack() as stack:
        stack.enter_context(_eager(lm.hf))
        for number, layer in enumerate(layers):
            stack.callback(layer.register_forward_hook(keep(number)).remove)
        lm.hf.base_model(inputs_embeds=x.to(lm.device, torch.float32), use_cache=False)
    return [found[number] for number in range(len(layers))]


def attention_to(lm: LanguageModel, x: Tensor, marked: Tensor) -> Tensor:
    """Share of its attention that each position gives to the marked inputs.

    Args:
        x: input embeddings (B, L, d_model); marked: (L,) bool.

    Returns:
        (B, n_layers, n_heads, L). A share is 1 where a position sees marked inputs only.
    """
    marked = marked.to(lm.device)
    layers = layer_attention(lm, x, lambda weights: weights[..., marked].sum(-1))
    return torch.stack(layers, dim=1)


def uniform_share(marked: Tensor) -> Tensor:
    """The share that the marked inputs would get from even attention: 1/i for the first one.

    Position i sees i inputs: (L,) bool → (L,).
    """
    return marked.cumsum(0) / torch.arange(1, len(marked) + 1, device=marked.device)


def _attention_layers(lm: LanguageModel) -> list[nn.Module]:
    layers = [m for m in lm.hf.modules() if type(m).__name__.endswith("Attention")]
    expected = lm.config.num_hidden_layers
    if len(layers) != expected:
        raise ReproducerError(
            f"model {lm.name!r}: expected {expected} attention layers, got {len(layers)}"
        )
    return layers


@contextlib.contextmanager
def _eager(hf: nn.Module) -> Iterator[None]:
    """The library's plain attention for a while: the fast kernels never hold their weights."""
    usual = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    try:
        yield
    finally:
        hf.set_attn_implementation(usual)
