"""What a position holds, against a slow and obvious version and on states with known answers."""

from itertools import combinations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from reproducer import compute
from reproducer.experiments import arrangements
from reproducer.readings.first_position import PositionSpec, hidden_states, likeness


def test_likeness_is_the_mean_cosine_of_all_pairs():
    states = torch.randn(2, 5, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    found = likeness(states)
    for layer in range(2):
        for position in range(3):
            pairs = combinations(states[layer, :, position], 2)
            obvious = torch.stack([cosine_similarity(a, b, dim=0) for a, b in pairs]).mean()
            assert found[layer, position].item() == pytest.approx(obvious.item())


def test_equal_states_are_alike_and_opposite_ones_are_not():
    one = torch.ones(1, 4, 1, 6)
    assert likeness(one).item() == pytest.approx(1)
    assert likeness(torch.cat([one[:, :1], -one[:, :1]], dim=1)).item() == pytest.approx(-1)


def test_states_begin_with_the_input_and_are_causal(tiny):
    x = torch.randn(3, 4, tiny.d_model, generator=torch.Generator().manual_seed(0))
    states = hidden_states(tiny, x)
    assert states.shape == (tiny.config.num_hidden_layers + 1, *x.shape)
    torch.testing.assert_close(states[0], x)
    changed = x.clone()
    changed[:, 2:] += 1
    torch.testing.assert_close(hidden_states(tiny, changed)[:, :, :2], states[:, :, :2])


def test_a_stored_result_has_a_row_for_each_position_and_a_line_in_each_panel():
    (result,) = compute([PositionSpec(model="tiny", n_inputs=3, n_draws=4)], progress=False)
    table = arrangements.position_table(result)
    assert list(table.index) == [1, 2, 3] and len(table.columns) == 4
    assert (table.filter(like="norm,") > 0).all(axis=None)
    for axis in arrangements.sink_figure(result).axes:
        assert len(axis.get_lines()) == 3
