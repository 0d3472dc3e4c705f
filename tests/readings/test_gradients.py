"""The derivative of a state by its own input, against the whole Jacobian of the library's model."""

import pytest
import torch

from reproducer import compute
from reproducer.readings.gradients import GradientSpec, participation, pulled_back


def test_rows_are_those_of_the_jacobian(tiny):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, tiny.d_model, generator=draw)
    probes = torch.randn(3, tiny.d_model, generator=draw)
    layers = [0, 1, 2]
    found = pulled_back(tiny, x.expand(3, -1, -1), probes, 1, layers)
    for layer, rows in zip(layers, found, strict=True):

        def state(own, layer=layer):
            inputs = torch.cat([x[:, :1], own[None, None]], dim=1)
            read = tiny.hf.model(inputs_embeds=inputs, output_hidden_states=True)
            return torch.nn.functional.normalize(read.hidden_states[layer][0, 1], dim=0)

        jacobian = torch.autograd.functional.jacobian(state, x[0, 1])
        torch.testing.assert_close(rows, probes @ jacobian, rtol=1e-3, atol=1e-5)


def test_participation_counts_equal_directions():
    assert participation(torch.eye(5, 8)).item() == pytest.approx(5)
    assert participation(torch.ones(5, 8)).item() == pytest.approx(1)


def test_the_embedding_turns_by_all_but_its_length():
    """x / |x| has the Jacobian (1 − x xᵀ / |x|²) / |x|, of Frobenius norm √(d − 1) / |x|."""
    (result,) = compute([GradientSpec(model="tiny", n_draws=4, n_probes=64)], progress=False)
    turn, rank = result.arrays["turn"], result.arrays["rank"]
    assert turn.shape == rank.shape == (4, 2, 2)
    assert result.metrics["layers"] == [0, 2]
    assert turn[:, 0] == pytest.approx(31**0.5, rel=0.1)
    assert (rank > 1).all() and (rank <= 64).all()
