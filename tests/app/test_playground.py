"""The playground: patterns of one's own, and vectors that are read back as they were kept."""

import numpy as np
import pytest

from reproducer.app import playground
from reproducer.errors import ReproducerError
from reproducer.solver.arrangements import ARRANGEMENTS, arrangement


@pytest.fixture(autouse=True)
def own_arrangements_go():
    before = dict(ARRANGEMENTS)
    yield
    ARRANGEMENTS.clear()
    ARRANGEMENTS.update(before)


@pytest.mark.parametrize(
    ("pattern", "offset", "same"),
    [("em*", 1, "[e] [m]xN"), ("em*", 0, "[e] [m]x(N-1)"), ("mem*", 2, "[m] [e] [m]xN")],
)
def test_patterns_are_the_arrangements_they_name(pattern: str, offset: int, same: str):
    own = arrangement(playground.own_arrangement(pattern, offset))
    for n_tokens in (2, 3, 8):
        assert own.roles(n_tokens) == arrangement(same).roles(n_tokens)


def test_the_starred_letter_may_stand_anywhere():
    assert arrangement(playground.own_arrangement("e*mm", 0)).roles(5) == "eeemm"


@pytest.mark.parametrize(("pattern", "offset"), [("em", 0), ("e*m*", 0), ("ex*", 0), ("em*", -1)])
def test_impossible_patterns_are_refused(pattern: str, offset: int):
    with pytest.raises(ReproducerError, match="expected letters e and m"):
        playground.own_arrangement(pattern, offset)


def test_a_text_that_is_too_short_is_refused():
    with pytest.raises(ReproducerError, match="expected a text of 9 or more tokens, got 2"):
        playground.fit_own("ab", 9, "em*", 1, max_steps=1, profile="smoke")


def test_what_was_kept_gives_the_same_tokens_again():
    fit = playground.fit_own("abcd", 3, "em*", 1, max_steps=5, profile="smoke")
    again = playground.reload(playground.save(fit, "mine"))
    assert again.spec == fit.spec
    assert np.array_equal(again.arrays["rows"], fit.arrays["rows"])
    assert playground.tokens(again).data == playground.tokens(fit).data
    assert playground.accuracy_figure(fit).axes[0].lines[0].get_ydata().max() <= 1
    assert playground.attention_figure(fit).axes


def test_a_pattern_of_the_book_is_found_under_the_book_s_name():
    assert playground.own_arrangement("em*", 1) == "[e] [m]xN"
    assert playground.own_arrangement("em*", 0) == "[e] [m]x(N-1)"
    assert playground.own_arrangement("mmem*", 3) == "mmem* offset 3"
