"""The clamped decoder: the free one where the limit is far, and hooks on the library's model."""

import pytest
import torch

from reproducer.decoder.clamped import ClampedDecoder, clamp_first
from reproducer.decoder.lean import lean_decoder
from reproducer.errors import ReproducerError
from tests.decoder.test_decoder import lean_logits, library_model

FAMILIES = ("llama-grouped", "neox")


def inputs(model, n=3):
    draw = torch.Generator().manual_seed(0)
    return torch.randn(2, n, model.config.hidden_size, generator=draw, dtype=torch.float64)


def test_only_the_first_state_is_shortened_and_keeps_its_direction():
    states = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    states[0, 0] *= 100
    states[1, 0] /= 100
    after = clamp_first(states, 1, [0.0, 2.0])
    assert after[0, 0].norm().item() == pytest.approx(2)
    cosine = torch.cosine_similarity(after[0, 0], states[0, 0], dim=0)
    assert cosine.item() == pytest.approx(1)
    torch.testing.assert_close(after[1, 0], states[1, 0])
    torch.testing.assert_close(after[:, 1:], states[:, 1:])


@pytest.mark.parametrize("family", FAMILIES)
def test_far_limits_change_nothing(family):
    model = library_model(family, torch.float64)
    lean = lean_decoder(model)
    limits = [1e9] * model.config.num_hidden_layers
    x = inputs(model)
    assert torch.equal(ClampedDecoder(lean, limits)(x), lean(x))


@pytest.mark.parametrize("family", FAMILIES)
def test_near_limits_are_those_of_hooks_on_the_library_s_model(family):
    model = library_model(family, torch.float64)
    lean = lean_decoder(model)
    x, n_layers = inputs(model), model.config.num_hidden_layers
    limits = [0.3 * (number + 1) for number in range(n_layers)]

    def hook(number):
        def clamp(module, args, output):
            states = output[0] if isinstance(output, tuple) else output
            states = states.clone()
            for text in states:
                text[0] *= min(1.0, limits[number] / text[0].norm().item())
            return (states, *output[1:]) if isinstance(output, tuple) else states

        return clamp

    expected_free = lean_logits(lean, x)
    blocks = model.model.layers if hasattr(model, "model") else model.gpt_neox.layers
    handles = [block.register_forward_hook(hook(i)) for i, block in enumerate(blocks)]
    try:
        expected = model(inputs_embeds=x, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    found = lean_logits(ClampedDecoder(lean, limits), x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (found - expected_free).abs().max() > 0.01


def test_a_model_without_a_lean_decoder_is_refused():
    with pytest.raises(ReproducerError, match="lean decoder, got Linear"):
        ClampedDecoder(torch.nn.Linear(2, 2), [1.0])
