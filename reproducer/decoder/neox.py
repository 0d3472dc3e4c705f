"""Weights of a GPT-NeoX model (Pythia) in the lean decoder's layout."""

from __future__ import annotations

from torch import Tensor, nn

from reproducer.decoder.weights import (
    STATIC_ROTARY,
    BlockWeights,
    DecoderParts,
    DecoderShape,
    HeadLayout,
    affine,
    fold_norm,
    query_scale,
)


def convert_neox(hf_model: nn.Module) -> DecoderParts | None:
    """Parts of a `GPTNeoXForCausalLM`; None where it has something the lean decoder lacks."""
    config, model = hf_model.config, hf_model.gpt_neox
    rotary = model.rotary_emb
    if config.hidden_act != "gelu" or rotary.rope_type not in STATIC_ROTARY:
        return None
    heads = HeadLayout(
        n_kv=config.num_attention_heads,
        queries_per_kv=1,
        head_dim=config.hidden_size // config.num_attention_heads,
        inv_freq=rotary.inv_freq.detach().clone(),
        rotary_scale=float(rotary.attention_scaling),
    )
    shape = DecoderShape(
        heads, "layer", config.layer_norm_eps, "gelu", bool(config.use_parallel_residual)
    )
    final = model.final_layer_norm
    head = fold_norm(affine(hf_model.get_output_embeddings()), *_affine_norm(final))
    return DecoderParts([_convert_block(layer, heads) for layer in model.layers], head, shape)


def _convert_block(layer: nn.Module, heads: HeadLayout) -> BlockWeights:
    # The library's rows are grouped by head already: its query, its key, its value.
    qkv = affine(layer.attention.query_key_value)
    mlp_in = affine(layer.mlp.dense_h_to_4h)
    return BlockWeights(
        qkv=fold_norm(qkv, *_affine_norm(layer.input_layernorm), query_scale(heads)),
        attention_out=affine(layer.attention.dense),
        mlp_in=fold_norm(mlp_in, *_affine_norm(layer.post_attention_layernorm)),
        mlp_out=affine(layer.mlp.dense_4h_to_h),
    )


def _affine_norm(norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    return norm.weight.detach(), norm.bias.detach()
