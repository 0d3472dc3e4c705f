"""Attention, layer by layer, against the library's own eager attention."""

import pytest
import torch

from reproducer.errors import ReproducerError
from reproducer.readings.attention_weights import attention_to, layer_attention, uniform_share


@pytest.fixture
def x(tiny):
    return torch.randn(3, 7, tiny.d_model, generator=torch.Generator().manual_seed(0))


def test_equals_the_models_own_attention(tiny, x):
    ours = layer_attention(tiny, x, lambda weights: weights)
    usual = tiny.config._attn_implementation
    tiny.hf.set_attn_implementation("eager")
    theirs = tiny.hf(inputs_embeds=x, output_attentions=True).attentions
    tiny.hf.set_attn_implementation(usual)
    assert len(ours) == len(theirs) == tiny.config.num_hidden_layers
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_rows_are_causal_and_sum_to_one(tiny, x):
    for weights in layer_attention(tiny, x, lambda weights: weights):
        assert weights.shape == (3, tiny.config.num_attention_heads, 7, 7)
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert weights.triu(1).abs().max() == 0


def test_share_of_marked_inputs(tiny, x):
    marked = torch.tensor([True, False, True, False, False, False, False])
    weights = torch.stack(layer_attention(tiny, x, lambda w: w), dim=1)
    expected = weights[..., 0] + weights[..., 2]
    torch.testing.assert_close(attention_to(tiny, x, marked), expected)


def test_uniform_share():
    first = torch.tensor([True, False, False, False])
    torch.testing.assert_close(uniform_share(first), 1 / torch.arange(1, 5))
    both = torch.tensor([True, False, True, False])
    torch.testing.assert_close(uniform_share(both), torch.tensor([1, 1 / 2, 2 / 3, 2 / 4]))


def test_the_model_is_left_as_it_was(tiny, x):
    def state():
        hooks = sum(len(module._forward_hooks) for module in tiny.hf.modules())
        return tiny.config._attn_implementation, hooks

    before = state()
    layer_attention(tiny, x, lambda weights: weights.sum())
    assert state() == before


def test_only_one_layer_is_alive_at_a_time(tiny, x):
    """A hook that keeps a scalar leaves nothing of the (L, L) weights behind."""
    import weakref

    alive = []

    def reduce(weights):
        assert not any(ref() is not None for ref in alive)
        alive.append(weakref.ref(weights))
        return weights.mean()

    layer_attention(tiny, x, reduce)
    assert len(alive) == tiny.config.num_hidden_layers


def test_unknown_architecture(tiny, x, monkeypatch):
    monkeypatch.setattr(tiny.config, "num_hidden_layers", 5)
    with pytest.raises(ReproducerError, match="expected 5 attention layers, got 2"):
        layer_attention(tiny, x, lambda weights: weights)
