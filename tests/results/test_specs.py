"""Specs: keys, starts, rows of shared and own tokens."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reproducer.errors import ReproducerError
from reproducer.results.fits import FitSpec, Regularizer, draw_row
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Result, with_needs
from reproducer.solver.arrangements import ARRANGEMENTS, arrangement
from reproducer.solver.recipes import RECIPES, Recipe, recipe
from reproducer.texts.sources import Text

PAPER = RECIPES["paper"]


def text(*tokens, id="a"):
    return Text(source="own", id=id, tokens=tokens)


def spec(**fields):
    base = {"model": "tiny", "arrangement": "[e] [m]xN", "texts": (text(1, 2),), "recipe": PAPER}
    return FitSpec(**base | fields)


def regularizer(n_sequences=1, teacher="random", **fields):
    sentences = tuple(f"sentence {i}" for i in range(n_sequences))
    teacher = SentenceVectorsSpec(model=teacher, sentences=sentences)
    return Regularizer(**{"term": "anchor", "weight": 0.1, "teacher": teacher} | fields)


def vectors(rows):
    """What a teacher gave, as a result."""
    return Result("", {}, {}, {"vectors": rows})


def test_key_is_the_same_in_another_process():
    program = (
        "from reproducer import FitSpec, RECIPES, Text\n"
        "print(FitSpec(model='tiny', arrangement='[e] [m]xN', texts="
        "(Text(source='own', id='a', tokens=(1, 2)),), recipe=RECIPES['paper']).key)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == spec().key


@pytest.mark.parametrize(
    "change",
    [
        {"model": "smollm2-135m"},
        {"dtype": "float32"},
        {"seed": 1},
        {"arrangement": "[e]xN"},
        {"texts": (text(1, 3),)},
        {"recipe": recipe("paper", max_steps=7)},
        {"share": "m"},
        {"trace": True},
        {"copies": 2},
        {"weights": "files:0"},
        {"warm_start": "0"},
        {"penalty": regularizer()},
    ],
)
def test_key_depends_on_everything(change):
    assert spec(**change).key != spec().key


def test_a_spec_survives_json():
    one = spec(penalty=regularizer(term="mse"))
    again = FitSpec(**one.model_dump(mode="json"))
    assert again == one and again.key == one.key


@pytest.mark.parametrize(
    "change", [{"weight": 0.2}, {"term": "mse"}, {"start_at_teacher": True}, {"n_sequences": 2}]
)
def test_key_depends_on_the_regularizer(change):
    texts = (text(1, 2), text(1, 3))[: change.get("n_sequences", 1)]
    assert spec(penalty=regularizer(**change), texts=texts).key != spec(penalty=regularizer()).key


def test_a_copy_has_its_own_key():
    one = spec()
    assert one.key != one.model_copy(update={"seed": 1}).key == spec(seed=1).key


def test_a_spec_holds_inputs_only():
    """No number that a machine computed: no float but those of the recipe and the weight."""
    data = spec(penalty=regularizer()).model_dump(mode="json")
    del data["recipe"], data["penalty"]["weight"]

    def floats(value):
        parts = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            return [x for part in parts for x in floats(part)]
        return [value] if isinstance(value, float) else []

    assert floats(data) == []


def test_what_is_needed_comes_first_and_once():
    group = [spec(penalty=regularizer()), spec(penalty=regularizer(), seed=1)]
    assert [one.kind for one in with_needs(group)] == ["sentence_vectors", "fit", "fit"]


def test_unknown_field_and_unequal_lengths_are_errors():
    with pytest.raises(ValidationError, match="Extra inputs"):
        spec(sead=1)
    with pytest.raises(ValidationError, match=r"one length in a group, got \[2, 3\]"):
        spec(texts=(text(1, 2), text(1, 2, 3)))


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(ARRANGEMENTS)),
    n_tokens=st.integers(1, 12),
    n_texts=st.integers(1, 4),
    copies=st.integers(1, 3),
    share=st.sampled_from(["none", "e", "m"]),
)
def test_index_names_the_right_rows(tiny, name, n_tokens, n_texts, copies, share):
    texts = tuple(text(*range(i, i + n_tokens), id=str(i)) for i in range(n_texts))
    one = spec(arrangement=name, texts=texts, copies=copies, share=share)
    problem = one.problem(tiny)
    n_sequences = n_texts * copies
    roles = arrangement(name).roles(n_tokens)
    assert problem.index.shape == (n_sequences, len(roles))
    assert problem.targets.shape == (n_sequences, n_tokens)
    assert len(problem.rows) == sum(1 if share == role else n_sequences for role in "em")
    for s in range(n_sequences):
        for i, role in enumerate(roles):
            row = int(problem.index[s, i])
            if role == "e":
                assert row == (0 if share == "e" else s)
            else:
                n_e = 1 if share == "e" else n_sequences
                assert row == n_e + (0 if share == "m" else s)


def test_start_depends_on_text_and_seed_not_on_company(tiny):
    alone = spec(texts=(text(1, 2, id="x"),)).problem(tiny).rows
    group = spec(texts=(text(3, 4), text(1, 2, id="x"))).problem(tiny).rows
    assert torch.equal(alone[0], group[1]) and torch.equal(alone[1], group[3])
    assert not torch.equal(alone, spec(texts=(text(1, 2, id="x"),), seed=1).problem(tiny).rows)


def test_copies_start_apart(tiny):
    rows = spec(copies=3, share="m").problem(tiny).rows
    assert len(rows) == 4 and len(torch.unique(rows, dim=0)) == 4


def test_start_is_standard_normal():
    row = draw_row(200_000, PAPER, 0, "e", "label")
    assert abs(row.mean()) < 0.01 and abs(row.std() - 1) < 0.01
    half = Recipe(name="x", init_std=0.5)
    assert torch.equal(draw_row(8, half, 0, "e"), 0.5 * draw_row(8, PAPER, 0, "e"))


def test_start_at_the_teacher(tiny):
    teacher = torch.nn.functional.normalize(torch.randn(1, tiny.d_model), dim=-1)
    for term in ("anchor", "mse"):
        one = spec(penalty=regularizer(term=term, start_at_teacher=True))
        start = one.problem(tiny, [vectors(teacher.numpy())]).rows
        torch.testing.assert_close(start[0], teacher[0])
        assert torch.equal(start[1], spec().problem(tiny).rows[1])
    with pytest.raises(ReproducerError, match="teacher vectors of width 32 to start at, got 2"):
        one.problem(tiny, [vectors(np.ones((1, 2), np.float32))])


def test_a_wider_teacher_is_cut_only_if_it_may_be(tiny):
    wide = [vectors(np.ones((1, 384), np.float32))]
    with pytest.raises(ReproducerError, match="at most the model's width 32"):
        spec(penalty=regularizer(teacher="all-minilm-l6-v2")).problem(tiny, wide)
    # Relations between vectors need no common width.
    mse = regularizer(teacher="all-minilm-l6-v2", term="mse")
    assert spec(penalty=mse).problem(tiny, wide).penalty.teacher.shape == (1, 384)


def test_a_penalty_without_its_sentences():
    with pytest.raises(ValidationError, match="one teacher sentence for each of 1 sequences"):
        spec(penalty=regularizer(2))
    with pytest.raises(ValidationError, match="an own `e` for each sequence"):
        spec(penalty=regularizer(), share="e")


def test_more_inputs_than_positions(tiny):
    with pytest.raises(ReproducerError, match="at most its 256 positions, got 257"):
        spec(texts=(text(*range(256)),)).problem(tiny)


def test_what_a_known_result_was_computed_from_is_not_needed_again():
    fit = spec(penalty=regularizer())
    assert [one.kind for one in with_needs([fit])] == ["sentence_vectors", "fit"]
    assert [one.kind for one in with_needs([fit], [fit.penalty.teacher])] == [
        "sentence_vectors",
        "fit",
    ]
    assert list(with_needs([fit], [fit])) == [fit]
