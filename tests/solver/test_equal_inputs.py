"""Why `accuracy_bound` holds: inputs that are one vector have one state, at every layer."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from reproducer.decoder.lean import lean_decoder
from reproducer.solver.arrangements import ARRANGEMENTS, accuracy_bound, arrangement
from tests.decoder.test_decoder import MODELS, SIZES, lean_logits, library_model

N_TOKENS = 12
TOLERANCE = 1e-5  # the library computes norms and softmax in float32 even in a float64 model


def inputs(name, scale=1.0):
    """`e` and `m` from N(0, scale²), laid out by an arrangement: (1, n_inputs, d_model)."""
    draw = torch.Generator().manual_seed(0)
    shape = 2, SIZES["hidden_size"]
    e, m = scale * torch.randn(shape, generator=draw, dtype=torch.float64)
    return torch.stack([{"e": e, "m": m}[role] for role in arrangement(name).roles(N_TOKENS)])[None]


def states(model, x):
    """After the embedding and each block, and logits: each (n_positions, width)."""
    read = model(inputs_embeds=x, output_hidden_states=True, use_cache=False)
    return [state[0] for state in (*read.hidden_states, read.logits)]


def apart(state):
    """The largest difference between positions, relative to the state's largest component."""
    return ((state - state[:1]).abs().max() / state.abs().max()).item()


@pytest.mark.parametrize("scale", [0.02, 1.0, 30.0])
@pytest.mark.parametrize("family", MODELS)
def test_equal_inputs_have_equal_states_at_every_layer(family, scale):
    model = library_model(family, torch.float64)
    for state in states(model, inputs("[e]xN", scale)):
        assert apart(state) < TOLERANCE
    half = N_TOKENS // 2
    by_layer = states(model, inputs("[e]x(N/2) [m]x(N/2)", scale))
    for state in by_layer:
        assert apart(state[:half]) < TOLERANCE
    # Not the second half: from there on attention mixes two values.
    assert apart(by_layer[-1][half:]) > 100 * TOLERANCE


@pytest.mark.parametrize("family", ["llama-grouped", "neox"])
def test_the_decoder_that_solves_gives_one_token_for_equal_inputs(family):
    decoder = lean_decoder(library_model(family, torch.float64))
    for name in ARRANGEMENTS:
        predicted = lean_logits(decoder, inputs(name))[0].argmax(-1)
        predicted = predicted[arrangement(name).offset :].tolist()
        # The model's own output is the text that it gets whole: within the bound for any text.
        assert accuracy_bound(name, predicted) == 1
    logits = lean_logits(decoder, inputs("[e]xN"))[0]
    assert apart(logits) < 1e-12


def test_absolute_positions_escape():
    """What the proof needs is that position enters attention's weights alone."""
    shape = {"n_embd": SIZES["hidden_size"], "n_layer": 2, "n_head": 4, "vocab_size": 61}
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**shape)).eval().double()
    with torch.no_grad():
        assert apart(states(model, inputs("[e]xN"))[-1]) > 100 * TOLERANCE


@pytest.mark.parametrize("family", MODELS)
def test_a_lone_position_is_a_first_one_wherever_it_stands(family):
    """What attends to itself alone has a first position's states, at any position id."""
    model = library_model(family, torch.float64)
    x = inputs("[e] [m]x(N-1)")[:, :2].flip(1)
    alone = torch.tensor([[True, False], [False, True]])[None, None]
    first = states(model, x[:, 1:])
    kept = model(
        inputs_embeds=x, attention_mask=alone, output_hidden_states=True, use_cache=False
    )
    moved = model(
        inputs_embeds=x[:, 1:],
        position_ids=torch.tensor([[7]]),
        output_hidden_states=True,
        use_cache=False,
    )
    for read, place in ((kept, 1), (moved, 0)):
        for state, expected in zip((*read.hidden_states, read.logits), first, strict=True):
            torch.testing.assert_close(state[0, place], expected[0], rtol=1e-5, atol=1e-7)
    free = model(inputs_embeds=x, use_cache=False).logits[0, 1]
    assert (free - kept.logits[0, 1]).abs().max() > 1e-3
