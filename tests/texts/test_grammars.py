"""Grammars: every sentence belongs to its own class and to no other."""

import random
from itertools import islice

import pytest
from nltk import ChartParser

from reproducer.errors import ReproducerError
from reproducer.texts.grammars import (
    CLASSES,
    GROUPS,
    derived,
    grammar,
    lexicon,
    sentences,
    words_of,
    written,
)


def parses(name, group, words):
    try:
        return next(ChartParser(grammar(name, group)).parse(words), None) is not None
    except ValueError:  # a word that the grammar does not have
        return False


@pytest.mark.parametrize("name", CLASSES)
def test_sentences_are_of_their_class_only(name):
    draw = random.Random(0)
    for group in (0, 3):
        for _ in range(4):
            words = words_of(name, group, draw)
            assert {other for other in CLASSES if parses(other, group, words)} == {name}, words


@pytest.mark.parametrize("name", CLASSES)
def test_groups_share_no_content_word(name):
    content = {
        g: {w for (_, group), ws in lexicon().items() if group == g for w in ws} for g in "0123"
    }
    draw = random.Random(1)
    for group in GROUPS:
        for _ in range(10):
            words = set(words_of(name, group, draw))
            assert words & content[str(group)]
            assert not any(words & content[g] for g in "0123" if g != str(group))


def test_sentences_are_different_and_always_the_same():
    first = list(islice(sentences("complex", 2), 50))
    assert len(set(first)) == 50
    assert first == list(islice(sentences("complex", 2), 50))


def test_written():
    assert written(["if", "you", "ask", ",", "why", "?"]) == "If you ask, why?"


def test_unknown_class_and_group():
    with pytest.raises(ReproducerError, match="did you mean 'complex'"):
        grammar("compleks", 0)
    with pytest.raises(ReproducerError, match="group of .* got 9"):
        grammar("simple", 9)


def test_shipped_sentences_are_those_that_the_grammars_derive():
    for name in CLASSES:
        for group in GROUPS:
            shipped = list(islice(sentences(name, group), 1200))
            assert shipped == list(islice(derived(name, group), 1200))


def test_sentences_go_on_where_the_shipped_ones_end():
    later = list(islice(sentences("complex", 2), 1195, 1205))
    assert later == list(islice(derived("complex", 2), 1195, 1205))
