"""Specs: keys, starts, rows of shared and own tokens."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reproducer.results.specs import FitSpec, PenaltySpec
from reproducer.solver.arrangements import ARRANGEMENTS, arrangement
from reproducer.solver.recipes import RECIPES, Recipe, recipe
from reproducer.texts.sources import Text

PAPER = RECIPES["paper"]


def text(*tokens, id="a"):
    return Text(source="own", id=id, tokens=tokens)


def spec(**fields):
    base = {"model": "tiny", "arrangement": "[e] [m]xN", "texts": (text(1, 2),), "recipe": PAPER}
    return FitSpec(**base | fields)


def test_key_is_the_same_in_another_process():
    program = (
        "from reproducer import *; print(FitSpec(model='tiny', arrangement='[e] [m]xN', texts="
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
    ],
)
def test_key_depends_on_everything(change):
    assert spec(**change).key != spec().key


def test_a_spec_survives_json():
    penalty = PenaltySpec(term="mse", weight=0.1, teacher=((0.5, 0.25),))
    one = spec(penalty=penalty)
    again = FitSpec(**one.model_dump(mode="json"))
    assert again == one and again.key == one.key


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
    from reproducer.results.specs import draw_row

    row = draw_row(200_000, PAPER, 0, "e", "label")
    assert abs(row.mean()) < 0.01 and abs(row.std() - 1) < 0.01
    half = Recipe(name="x", init_std=0.5)
    assert torch.equal(draw_row(8, half, 0, "e"), 0.5 * draw_row(8, PAPER, 0, "e"))


def test_start_at_the_teacher(tiny):
    teacher = tuple(float(i) for i in range(tiny.d_model))
    penalty = PenaltySpec(term="anchor", weight=0.1, teacher=(teacher,), start_at_teacher=True)
    assert spec(penalty=penalty).problem(tiny).rows[0].tolist() == list(teacher)
    narrow = PenaltySpec(term="anchor", weight=0.1, teacher=((1.0, 2.0),), start_at_teacher=True)
    with pytest.raises(ValueError, match="teacher vectors of width 32"):
        spec(penalty=narrow).problem(tiny)
