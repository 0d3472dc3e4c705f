"""Bisection against the whole grid, on outcomes that are monotone in length and that are not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducer.analysis.prefix_search import checked_grid, search_prefixes
from reproducer.errors import ReproducerError

grids = st.lists(st.integers(1, 500), min_size=1, max_size=20, unique=True)


def search(lengths, strategy, outcome):
    (found,) = search_prefixes(
        ["text"], lengths, strategy, lambda asked: [outcome(n) for _, n in asked]
    ).values()
    return found


@given(grids, st.integers(0, 501))
def test_agrees_with_the_grid_where_success_is_monotone(lengths, capacity):
    whole = search(lengths, "grid", lambda n: n <= capacity)
    halved = search(lengths, "bisect", lambda n: n <= capacity)
    assert halved.longest == whole.longest == max((n for n in lengths if n <= capacity), default=0)
    assert len(whole.tried) == len(lengths)
    assert len(halved.tried) <= math.ceil(math.log2(len(lengths) + 1))


@given(grids, st.randoms())
def test_ends_at_a_success_below_a_failure_where_it_is_not(lengths, draw):
    lengths = sorted(lengths)
    outcomes = {n: draw.random() < 0.5 for n in lengths}
    found = search(lengths, "bisect", outcomes.__getitem__)
    assert all(found.tried[n] == outcomes[n] for n in found.tried)
    assert found.longest == 0 or outcomes[found.longest]
    after = lengths[lengths.index(found.longest) + 1 :] if found.longest else lengths
    assert not after or (found.tried[after[0]] is False)
    assert found.longest <= search(lengths, "grid", outcomes.__getitem__).longest


def test_bisection_can_miss_a_longer_success_and_the_grid_does_not():
    outcomes = {4: True, 8: False, 16: True}
    assert search([4, 8, 16], "grid", outcomes.__getitem__).longest == 16
    assert search([4, 8, 16], "bisect", outcomes.__getitem__).longest == 4


def test_texts_go_in_rounds():
    capacity, rounds = {"a": 3, "b": 9, "c": 100}, []

    def attempt(asked):
        rounds.append(asked)
        return [n <= capacity[key] for key, n in asked]

    found = search_prefixes(capacity, [2, 4, 8, 16], "bisect", attempt)
    assert {key: search.longest for key, search in found.items()} == {"a": 2, "b": 8, "c": 16}
    assert rounds[0] == [("a", 4), ("b", 4), ("c", 4)]
    assert len(rounds) == 3


def test_what_cannot_be_known_leaves_the_search_unfinished():
    (found,) = search_prefixes(["a"], [1, 2, 3], "bisect", lambda asked: [None]).values()
    assert found.stuck and found.tried == {}


def test_grid_is_sorted_and_checked():
    assert checked_grid([8, 4, 8]) == (4, 8)
    with pytest.raises(ReproducerError, match="at least one length in the grid, got none"):
        checked_grid([])
    with pytest.raises(ReproducerError, match="at least 1, got 0"):
        checked_grid([0, 4])
