"""Weights of a Llama model in the lean decoder's layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reproducer.decoder.weights import (
    STATIC_ROTARY,
    Affine,
    BlockWeights,
    DecoderParts,
    DecoderShape,
    HeadLayout,
    affine,
    fold_norm,
    query_scale,
)


def convert_llama(hf_model: nn.Module) -> DecoderParts | None:
    """Parts of a `LlamaForCausalLM`; None where it has something the lean decoder lacks."""
    config, model = hf_model.config, hf_model.model
    rotary = model.rotary_emb
    if config.hidden_act != "silu" or rotary.rope_type not in STATIC_ROTARY:
        return None
    heads = HeadLayout(
        n_kv=config.num_key_value_heads,
        queries_per_kv=config.num_attention_heads // config.num_key_value_heads,
        head_dim=model.layers[0].self_attn.head_dim,
        inv_freq=rotary.inv_freq.detach().clone(),
        rotary_scale=float(rotary.attention_scaling),
    )
    blocks = [_convert_block(layer, heads) for layer in model.layers]
    head = fold_norm(affine(hf_model.get_output_embeddings()), model.norm.weight.detach())
    return DecoderParts(blocks, head, DecoderShape(heads, "rms", config.rms_norm_eps, "swiglu"))


def _convert_block(layer: nn.Module, heads: HeadLayout) -> BlockWeights:
    attention, mlp = layer.self_attn, layer.mlp
    q, k, v = (affine(p) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
    gate, up = affine(mlp.gate_proj), affine(mlp.up_proj)
    qkv = _joined([q, k, v], n_groups=heads.n_kv)
    return BlockWeights(
        qkv=fold_norm(qkv, layer.input_layernorm.weight.detach(), scale=query_scale(heads)),
        attention_out=affine(attention.o_proj),
        mlp_in=fold_norm(_joined([gate, up]), layer.post_attention_layernorm.weight.detach()),
        mlp_out=affine(mlp.down_proj),
    )


def _joined(products: list[Affine], n_groups: int = 1) -> Affine:
    """One product for several of one input, their outputs interleaved in `n_groups` groups."""

    def join(parts: list[Tensor]) -> Tensor:
        return torch.cat([p.unflatten(0, (n_groups, -1)) for p in parts], dim=1).flatten(0, 1)

    biases = [p.bias for p in products if p.bias is not None]
    return Affine(join([p.matrix for p in products]), join(biases) if biases else None)
