"""Misspelt variants and families of texts."""

import random

import numpy as np
import pytest

from reproducer.errors import ReproducerError
from reproducer.texts.families import load_families
from reproducer.texts.misspellings import ACTIONS, lexical_variants

TEXT = "Sourdough rises because wild yeast feeds on the sugars of the flour."


def test_variants_differ_and_add_nothing_but_letters():
    found = lexical_variants(TEXT, 7)
    assert len({TEXT, *found}) == 8
    for variant in found:
        assert all(c.isalpha() for c in set(variant) - set(TEXT))
        assert abs(len(variant) - len(TEXT)) <= 10


def test_variants_depend_on_the_text_alone_and_leave_the_random_states():
    first = lexical_variants(TEXT, 3)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert lexical_variants(TEXT, 3) == first
    assert states == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


def test_a_refused_variant_is_drawn_again():
    short = lexical_variants(TEXT, len(ACTIONS), lambda v: v.startswith("Sour"))
    assert all(v.startswith("Sour") for v in short)


def test_no_acceptable_variant():
    with pytest.raises(ReproducerError, match="expected 1 acceptable variants of 'Sourdough"):
        lexical_variants(TEXT, 1, lambda v: False)


def test_shipped_families():
    found = load_families("paraphrases", 24)
    assert all(len(f.paraphrases) >= 9 for f in found)
    texts = [text for f in found for text in (f.original, *f.paraphrases)]
    assert len(set(texts)) == len(texts)
    with pytest.raises(ReproducerError, match="expected 500 originals, got 26"):
        load_families("paraphrases", 500)
    with pytest.raises(ReproducerError, match="did you mean 'dolly'"):
        load_families("doly", 1)


def test_originals_of_dolly_have_the_length_of_the_paper_and_no_paraphrase_yet(monkeypatch):
    rows = [{"response": "too short"}, {"response": "word " * 20}, {"response": "word " * 61}]
    monkeypatch.setattr("datasets.load_dataset", lambda name, split: rows)
    (family,) = load_families("dolly", 1)
    assert (family.id, family.paraphrases) == ("dolly-00001", None)
    with pytest.raises(ReproducerError, match="expected 2 originals, got 1"):
        load_families("dolly", 2)
