"""The strategies against the whole grid, on outcomes monotone in length and on others."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducer.analysis.prefix_search import checked_grid, search_prefix
from reproducer.errors import ReproducerError

grids = st.lists(st.integers(1, 500), min_size=1, max_size=20, unique=True)


def search(lengths, strategy, outcome):
    return search_prefix(checked_grid(lengths), strategy, outcome)


@given(grids, st.integers(0, 501))
def test_all_agree_with_the_grid_where_success_is_monotone(lengths, capacity):
    whole = search(lengths, "grid", lambda n: n <= capacity)
    assert whole.longest == max((n for n in lengths if n <= capacity), default=0)
    assert len(whole.tried) == len(lengths)
    halved = search(lengths, "bisect", lambda n: n <= capacity)
    assert halved.longest == whole.longest
    assert len(halved.tried) <= math.ceil(math.log2(len(lengths) + 1))
    grown = search(lengths, "grow", lambda n: n <= capacity)
    assert grown.longest == whole.longest
    assert len(grown.tried) == min(len(lengths), sum(n <= capacity for n in lengths) + 1)


@given(grids, st.randoms())
def test_where_it_is_not_they_end_at_a_success_below_a_failure(lengths, draw):
    lengths = sorted(lengths)
    outcomes = {n: draw.random() < 0.5 for n in lengths}
    for strategy in ("bisect", "grow"):
        ended = search(lengths, strategy, outcomes.__getitem__)
        assert all(ended.tried[n] == outcomes[n] for n in ended.tried)
        assert ended.longest == 0 or outcomes[ended.longest]
        after = lengths[lengths.index(ended.longest) + 1 :] if ended.longest else lengths
        assert not after or (ended.tried[after[0]] is False)
        assert ended.longest <= search(lengths, "grid", outcomes.__getitem__).longest


def test_bisection_can_miss_a_longer_success_and_the_grid_does_not():
    outcomes = {4: True, 8: False, 16: True}
    assert search([4, 8, 16], "grid", outcomes.__getitem__).longest == 16
    assert search([4, 8, 16], "bisect", outcomes.__getitem__).longest == 4
    assert search([4, 8, 16], "grow", outcomes.__getitem__).tried == {4: True, 8: False}


@given(grids, st.sampled_from(["grid", "bisect", "grow"]), st.integers(0, 501))
def test_a_search_asks_in_rounds_for_what_it_does_not_know(lengths, strategy, capacity):
    known, rounds = {}, 0
    while (ended := search(lengths, strategy, known.get)).wanted:
        assert not set(ended.wanted) & set(known)
        known |= {n: n <= capacity for n in ended.wanted}
        rounds += 1
    assert ended.tried == search(lengths, strategy, lambda n: n <= capacity).tried == known
    assert rounds == (1 if strategy == "grid" else len(known))


def test_grid_is_sorted_checked_and_goes_on_to_its_end():
    assert checked_grid([8, 4, 8]) == (4, 8)
    assert checked_grid([4, 8, 16], end=35) == (4, 8, 16, 24, 32)
    assert checked_grid([8, 4], end=6) == (4, 8)
    assert checked_grid([5], end=16) == (5, 10, 15)
    with pytest.raises(ReproducerError, match="at least one length in the grid, got none"):
        checked_grid([])
    with pytest.raises(ReproducerError, match="at least 1, got 0"):
        checked_grid([0, 4])
