"""Values as they are typed: text stays text, all else is YAML, and what cannot be meant is told."""

from typing import Literal

import pytest

from reproducer import load_params
from reproducer.errors import ReproducerError, shown
from reproducer.experiments.values import typed


@pytest.mark.parametrize(
    ("annotation", "value", "wanted"),
    [
        (tuple[int, ...], "[1, 3]", (1, 3)),
        (tuple[int, ...], [1, 3], (1, 3)),
        (tuple[int, ...], range(1, 3), (1, 2)),
        (tuple[Literal["e", "m"], ...], "[e]", ("e",)),
        (tuple[tuple[int, ...], ...], [[1], [2]], ((1,), (2,))),
        (int, "3", 3),
        (bool, "true", True),
        (float | None, "0.5", 0.5),
        (str, "[e] [m]xN", "[e] [m]xN"),
        (str, "*x", "*x"),
        (str | None, "3", "3"),
        (Literal["m", "none"], "none", "none"),
        (int, None, None),
    ],
)
def test_text_is_read_as_the_field_asks(annotation, value, wanted):
    assert typed("n_tokens", annotation, value) == wanted


@pytest.mark.parametrize(
    "text",
    ["[1", "*x", "@", "&a [1, *a]", "[" * 9000, "9" * 9000, "2020-13-45", "!!int ''", "!!bool x"]
    + ["!!python/name:os.system", "\0", "\ud800", "{[]: {}}"],
)
def test_what_is_not_yaml(text):
    with pytest.raises(ReproducerError, match="expected YAML") as caught:
        typed("lengths", tuple[int, ...], text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_texts", 10**23 - 1),
        ("n_texts", 10_001),
        ("n_seeds", -1),
        ("seed", 2**32),
        ("lengths", [4, -4]),
        ("lengths", "[4, .inf]"),
        ("alphas", [0, float("nan")]),
        ("max_steps", 10**9),
        ("weights", [10**400]),
        ("weights", "0x" + "f" * 9000),
    ],
)
def test_numbers_that_cannot_be_meant(name, value):
    with pytest.raises(ReproducerError, match="expected numbers from 0 to ") as caught:
        typed(name, tuple[float, ...], value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", True, "a valid integer, got True"),
        ("seed", "true", "a valid integer, got True"),
        ("n_texts", 2.0, "a valid integer, got 2.0"),
        ("lengths", "[1, 1]", "expected each once, got 1 twice"),
        ("arrangements", ["[e]xN", "[e]xN"], "expected each once"),
        ("source", "unseen:x", "unknown source"),
        ("source", "x" * 5000, r"… \(5002 characters\)"),
        ("recipe", "", "unknown recipe ''"),
        ("profile", "quick", "unknown parameter 'profile'"),
        ("x" * 5000, 1, r"… \(5002 characters\)"),
    ],
)
def test_parameters_are_strict(field, value, message):
    with pytest.raises(ReproducerError, match=message) as caught:
        load_params("arrangements", "smoke", **{field: value})
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 500


def test_lengths_as_papermill_hands_them_over():
    assert load_params("arrangements", "smoke", lengths="[1,3]").lengths == (1, 3)
    # A length for each model, so two models may have the same.
    given = {"models": '[tiny, "random:tiny"]', "lengths": "[8, 8]"}
    assert load_params("throughput", "smoke", **given).lengths == (8, 8)


def test_what_an_error_repeats_is_short():
    assert shown("a" * 9) == "'aaaaaaaaa'"
    assert len(shown("a" * 10**6)) < 120
    assert shown(10**9000) == "a number of thousands of digits"
    nested = []
    for _ in range(9999):
        nested = [nested]
    assert "nested" in shown(nested)
