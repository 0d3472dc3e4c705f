"""Encoders against plain matrix products, their growth, and what they read."""

import pytest
import torch
import torch.nn.functional as F

from reproducer.encoder.network import Design, Encoder, features, inputs
from reproducer.errors import ReproducerError

D_MODEL = 24


def encoder(n_tokens=3, seed=0, **design):
    return Encoder(Design(n_tokens=n_tokens, width=16, **design), D_MODEL, seed).requires_grad_(
        False
    )


def shaken(network):
    """With weights that no part has at its beginning, where blocks change nothing."""
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn(weight.shape)
    return network


def test_an_encoder_is_one_product_over_its_slots_side_by_side_and_residual_blocks():
    network, x = shaken(encoder()).double(), torch.randn(5, 3, D_MODEL, dtype=torch.float64)
    side_by_side = torch.cat([slot.weight for slot in network.slots], 1)
    state = x.reshape(5, -1) @ side_by_side.T
    for block in network.blocks:
        scaled = (
            state / (state.pow(2).mean(1, keepdim=True) + torch.finfo(torch.float64).eps).sqrt()
        )
        inner = F.gelu((scaled * block.norm.weight) @ block.inner.weight.T + block.inner.bias)
        state = state + inner @ block.outer.weight.T + block.outer.bias
    e = state @ network.out.weight.T + network.out.bias
    e = 30 * e / e.pow(2).mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(network(x), e, rtol=1e-5, atol=1e-5)


def test_without_blocks_it_is_linear_but_for_its_length():
    network = encoder(n_blocks=0)
    x, y = torch.randn(2, 1, 3, D_MODEL)
    sides = [slot.weight for slot in network.slots]
    e = sum((x + y)[:, i] @ side.T for i, side in enumerate(sides))
    torch.testing.assert_close(F.normalize(network(x + y)), F.normalize(e))


@pytest.mark.parametrize("reads", ["embeddings", "states"])
def test_e_and_m_have_the_length_of_the_design(reads):
    network = encoder(reads=reads, rms=7.0)
    e = network(torch.randn(5, 3, D_MODEL))
    assert e.shape == (5, D_MODEL) and network.m.shape == (D_MODEL,)
    for vector in (*e, network.m):
        assert float(vector.pow(2).mean().sqrt()) == pytest.approx(7, rel=1e-3)


def test_weights_come_from_the_seed_alone():
    before = torch.get_rng_state()
    one, same, other = encoder(), encoder(), encoder(seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.m, same.m) and not torch.equal(one.m, other.m)
    assert torch.equal(one.slots[2].weight, same.slots[2].weight)


@pytest.mark.parametrize("reads", ["embeddings", "states"])
def test_every_token_counts(reads):
    network, x = shaken(encoder(reads=reads)), torch.randn(1, 3, D_MODEL)
    for place in range(3):
        changed = x.clone()
        changed[0, place] *= -1
        assert (network(changed) - network(x)).norm() > 0.01 * network(x).norm()


def test_a_grown_encoder_begins_as_the_shorter_one():
    shorter, longer = shaken(encoder(2)), encoder(4, seed=1)
    longer.grow_from(shorter)
    x = torch.randn(5, 4, D_MODEL)
    torch.testing.assert_close(longer(x), shorter(x[:, :2]))
    torch.testing.assert_close(longer.m, shorter.m)


def test_training_goes_on_with_an_encoder_of_as_many_tokens():
    first, second = shaken(encoder(reads="states")), encoder(seed=1, reads="states")
    second.grow_from(first)
    x = torch.randn(5, 3, D_MODEL)
    torch.testing.assert_close(second(x), first(x))


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        (encoder(2), encoder(3)),
        (encoder(3, rms=10.0), encoder(2)),
        (encoder(3, n_blocks=1), encoder(2)),
        (encoder(3, reads="states"), encoder(2, reads="states")),
    ],
)
def test_what_cannot_grow_is_refused(longer, shorter):
    with pytest.raises(ReproducerError, match="grow"):
        longer.grow_from(shorter)


def test_embeddings_are_read_at_unit_length(tiny):
    tokens = torch.tensor([[3, 5], [7, 3]])
    read = features(tiny, "embeddings", tokens)
    embedded = tiny.hf.get_input_embeddings()(tokens)
    torch.testing.assert_close(read[0, 0], read[1, 1])
    torch.testing.assert_close(F.normalize(read, dim=-1), F.normalize(embedded, dim=-1))
    torch.testing.assert_close(read.pow(2).mean(-1), torch.ones(2, 2))


def test_states_are_the_librarys_halfway_up_after_the_first_token(tiny):
    tokens = torch.tensor([[3, 5, 9]])
    first = torch.tensor([[tiny.bos_token_id]])
    layers = tiny.hf(torch.cat([first, tokens], 1), output_hidden_states=True).hidden_states
    state = layers[(len(layers) - 1) // 2][:, 1:]
    read = features(tiny, "states", tokens)
    torch.testing.assert_close(F.normalize(read, dim=-1), F.normalize(state, dim=-1))
    torch.testing.assert_close(read.pow(2).mean(-1), torch.ones(1, 3))


def test_inputs_stand_as_the_arrangement_says():
    e, m = torch.randn(2, D_MODEL), torch.randn(D_MODEL)
    x = inputs(e, m, "mem")
    for text in range(2):
        assert torch.equal(x[text], torch.stack([m, e[text], m]))
