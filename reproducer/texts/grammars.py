"""Sentences of seven syntactic classes, drawn from context-free grammars.

The classes are those of Bondarenko et al. §3.4; the grammars and the lexicon of frequent
words with parts of speech (`data/lexicon.csv`) are ours. The paper's "one-clause" class is
taken as a sentence with one main member: a noun phrase without a verb. Content words come in
four groups of disjoint vocabulary, and a sentence uses one group only, so that a probe can be
tested on words it has never seen. Function words are common to all groups.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from reproducer.errors import ReproducerError, require_name
from reproducer.paths import data_dir
from reproducer.texts.shipped import shipped_entries
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from nltk import CFG, Nonterminal

GROUPS = (0, 1, 2, 3)
ATTEMPTS = 5000

_SHARED = """
NP -> Det N | Det Adj N
PP -> Prep NP
VP -> Vt NP | Vt NP PP | Vi PP | Vi Adv | Vi Adv PP | Vi
Base -> Vtb NP | Vtb NP PP | Vib PP | Vib Adv | Vib Adv PP | Vib
Clause -> NP VP
Order -> Vtb NP | Vtb NP PP | Vib PP | Vib Adv | Polite Vtb NP | Polite Vtb NP PP | Polite Vib PP
Asked -> Modal NP Base | Wh Modal NP Base
"""

CLASSES: dict[str, str] = {
    "simple": "S -> Clause '.'",
    "complex": "S -> Clause Sub Clause '.' | Sub Clause ',' Clause '.'",
    "simple question": "S -> Asked '?'",
    "complex question": "S -> Asked Sub Clause '?' | Sub Clause ',' Asked '?'",
    "simple command": "S -> Order '.'",
    "complex command": "S -> Order Sub Clause '.' | Sub Clause ',' Order '.'",
    "one-clause": "S -> NP PP '.' | NP PP PP '.' | NP Conj NP '.' | NP Conj NP PP '.'",
}

# Grammar symbol → part of speech in the lexicon; `None` in WORDS takes all of its words.
_PARTS = {
    "N": "noun",
    "Adj": "adjective",
    "Adv": "adverb",
    "Vt": "verb_past",
    "Vtb": "verb_base",
    "Vi": "verb_intransitive",
    "Vib": "verb_intransitive_base",
    "Det": "determiner",
    "Prep": "preposition",
    "Modal": "modal",
    "Sub": "conj_sub",
    "Conj": "conj_coord",
    "Wh": "question",
    "Polite": "helper",
}
# Of some closed classes only these words fit every place where the grammars use them.
_ONLY = {
    "question": {"when", "where", "why", "how"},
    "helper": {"please", "kindly", "now", "first", "then", "just", "always", "never", "simply"},
    "conj_coord": {"and", "or"},
}


@lru_cache
def lexicon() -> dict[tuple[str, str], tuple[str, ...]]:
    """Words by (part of speech, group); the group of function words is `all`."""
    words: dict[tuple[str, str], list[str]] = {}
    with open(data_dir() / "lexicon.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words.setdefault((row["pos"], row["group"]), []).append(row["word"])
    return {place: tuple(listed) for place, listed in words.items()}


@lru_cache
def grammar(name: str, group: int) -> CFG:
    """The grammar of one of `CLASSES` over the vocabulary of a group."""
    # Imported late: it takes seconds.
    from nltk import CFG

    require_name("sentence class", name, CLASSES)
    _require_group(group)
    rules = [CLASSES[name], _SHARED]
    for symbol, part in _PARTS.items():
        listed = lexicon().get((part, str(group))) or lexicon()[part, "all"]
        usable = [word for word in listed if word in _ONLY.get(part, listed)]
        rules.append(f"{symbol} -> " + " | ".join(f"'{word}'" for word in usable))
    return CFG.fromstring("\n".join(rules))


def _require_group(group: int) -> None:
    if group not in GROUPS:
        raise ReproducerError(f"expected a vocabulary group of {GROUPS}, got {group}")


def words_of(name: str, group: int, draw: random.Random) -> list[str]:
    """A random derivation: words and punctuation marks, lower case."""
    rules = grammar(name, group)

    def expand(symbol: Nonterminal | str) -> Iterator[str]:
        if isinstance(symbol, str):
            yield symbol
        else:
            for part in draw.choice(rules.productions(lhs=symbol)).rhs():
                yield from expand(part)

    return list(expand(rules.start()))


def written(words: list[str]) -> str:
    """Words as a sentence: a capital first, no space before punctuation."""
    sentence = " ".join(words).replace(" ,", ",").replace(" .", ".").replace(" ?", "?")
    return sentence[0].upper() + sentence[1:]


def derived(name: str, group: int) -> Iterator[str]:
    """Different sentences of a class over one group's words, always in the same order."""
    draw, seen = random.Random(f"{name}-{group}"), set()
    while True:
        sentence = written(words_of(name, group, draw))
        if sentence not in seen:
            seen.add(sentence)
            yield sentence


def sentences(name: str, group: int) -> Iterator[str]:
    """The sentences of `derived`: the first from `data/texts/sentences.jsonl`, then derived.

    Deriving needs nltk, whose import takes seconds, and experiments seldom go on that far.
    """
    _require_group(group)
    shipped = _shipped()[require_name("sentence class", name, CLASSES), group]
    yield from shipped
    yield from islice(derived(name, group), len(shipped), None)


@lru_cache
def _shipped() -> dict[tuple[str, int], list[str]]:
    entries = shipped_entries("sentences", "class", "group", "sentences")
    return {(name, group): listed for name, group, listed in entries}


def class_texts(
    name: str, encode: Callable[[str], tuple[int, ...]], n_texts: int, n_tokens: int | None
) -> list[Text]:
    """`n_texts` sentences of a class, all of `n_tokens` tokens unless that is None.

    The vocabulary groups take turns; ids are `matched/class/group/number`, or `free/…`.

    Raises:
        ReproducerError: a group has too few sentences of exactly `n_tokens` tokens.
    """
    wanted, by_group = -(-n_texts // len(GROUPS)), []
    for group in GROUPS:
        candidates = map(encode, islice(sentences(name, group), ATTEMPTS))
        fitting = (tokens for tokens in candidates if n_tokens in (None, len(tokens)))
        chosen = list(islice(fitting, wanted))
        if len(chosen) < wanted:
            raise ReproducerError(
                f"class {name!r}: expected {wanted} sentences of {n_tokens} tokens from "
                f"vocabulary group {group}, got {len(chosen)}; try another n_tokens"
            )
        by_group.append(chosen)
    mark = f"{'free' if n_tokens is None else 'matched'}/{name}"
    texts = [
        Text(source="grammar", id=f"{mark}/{group}/{number}", tokens=tokens)
        for number, turn in enumerate(zip(*by_group, strict=True))
        for group, tokens in enumerate(turn)
    ]
    return texts[:n_texts]
