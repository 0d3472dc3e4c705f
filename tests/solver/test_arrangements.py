"""Patterns and offsets of the arrangements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reproducer.errors import ReproducerError
from reproducer.experiments.published import published
from reproducer.solver.arrangements import ARRANGEMENTS, accuracy_bound, arrangement

LENGTHS = st.integers(1, 1500)

# Slow and obvious: what stands at input i (from 0) of a text of n tokens.
OBVIOUS = {
    "[e]xN": lambda i, n: "e",
    "[e]x(N/2) [m]x(N/2)": lambda i, n: "e" if i < n / 2 else "m",
    "[e m]x(N/2)": lambda i, n: "e" if i % 2 == 0 else "m",
    "[e] [m]xN": lambda i, n: "e" if i == 0 else "m",
    "[e] [m]x(N-1)": lambda i, n: "e" if i == 0 else "m",
    "[m] [e] [m]xN": lambda i, n: "e" if i == 1 else "m",
    "[m] [e] [m]x(N-1)": lambda i, n: "e" if i == 1 else "m",
}


@given(st.sampled_from(sorted(ARRANGEMENTS)), LENGTHS)
def test_roles_are_as_named(name, n_tokens):
    pattern = arrangement(name)
    roles = pattern.roles(n_tokens)
    assert len(roles) == pattern.n_inputs(n_tokens)
    assert roles == "".join(OBVIOUS[name](i, n_tokens) for i in range(len(roles)))


@given(LENGTHS)
def test_only_extra_inputs_predict_nothing(n_tokens):
    extra = {name: a.n_inputs(n_tokens) - n_tokens for name, a in ARRANGEMENTS.items()}
    expected = {"[e] [m]xN": 1, "[m] [e] [m]xN": 2, "[m] [e] [m]x(N-1)": 1}
    assert extra == {name: expected.get(name, 0) for name in ARRANGEMENTS}
    assert extra == {name: pattern.offset for name, pattern in ARRANGEMENTS.items()}


def test_first_predicting_input_is_that_of_table_1():
    for row in published("arrangements").itertuples():
        pattern = arrangement(row.arrangement)
        assert pattern.roles(4)[pattern.offset] == row.first_target


def best_of_all_outputs(name, tokens):
    """By trial: equal leading inputs give one token, every later position may give any."""
    pattern = arrangement(name)
    roles = pattern.roles(len(tokens))
    predicting = range(pattern.offset, len(roles))
    free = [len(set(roles[: i + 1])) > 1 for i in predicting]
    right = [
        sum(f or same == token for token, f in zip(tokens, free, strict=True)) for same in tokens
    ]
    return max(right) / len(tokens)


@given(st.sampled_from(sorted(ARRANGEMENTS)), st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_bound_is_what_equal_leading_inputs_leave(name, tokens):
    assert accuracy_bound(name, tokens) == best_of_all_outputs(name, tokens)


def test_bound_by_hand():
    text = (7, 7, 5, 7, 5, 5, 5, 5)
    assert accuracy_bound("[e]xN", text) == 5 / 8
    assert accuracy_bound("[e]x(N/2) [m]x(N/2)", text) == (3 + 4) / 8
    assert accuracy_bound("[e]x(N/2) [m]x(N/2)", (1, 2, 3)) == (1 + 1) / 3
    for name in set(ARRANGEMENTS) - {"[e]xN", "[e]x(N/2) [m]x(N/2)"}:
        assert accuracy_bound(name, text) == 1
    with pytest.raises(ReproducerError, match="at least 1, got 0"):
        accuracy_bound("[e]xN", ())


def test_unknown_name_and_impossible_length():
    with pytest.raises(ReproducerError, match=r"did you mean '\[e\] \[m\]xN'"):
        arrangement("[e][m]xN")
    with pytest.raises(ReproducerError, match="at least 1, got 0"):
        arrangement("[e]xN").roles(0)
