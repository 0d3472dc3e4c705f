"""Text sources, and the selection of a text from each as the papers do it.

A passage is split into sentences; its second half, tokenized by the model's own tokenizer,
is the text, and an experiment fits the first N tokens of it (Kuratov et al. §4, followed by
Mezentsev & Oseledets §4). Random words have no sentences and are taken whole. What a model
samples is a result, not a source: see `reproducer.readings.continuations`.

A text is identified by its source, its place there and a digest of its tokens, since what
some sources hold depends on the Python version or on the model.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from reproducer.errors import ReproducerError, require_name
from reproducer.models.card import TextTokenizer, model_card
from reproducer.models.hub import settle_hub
from reproducer.texts.shipped import shipped_entries

HUB_DATASETS = {
    "pg19": "yurakuratov/pg19_valid_1k_chunks",
    "fanfics": "yurakuratov/fanfics_1k_chunks",
}
RANDOM_VOCABULARY = 100_000
RANDOM = ("random", "random-glove")
RANDOM_TEXTS = 1000
STAND_IN_TOKENS = 200  # every vocabulary has as many


@dataclass(frozen=True)
class Passage:
    """A natural text in two halves; the second is the one that is fitted."""

    id: str
    first_half: str
    second_half: str


class Text(BaseModel):
    """A tokenized text: where it comes from and its token ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    id: str
    tokens: tuple[NonNegativeInt, ...]

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of the token ids."""
        return hashlib.sha256(",".join(map(str, self.tokens)).encode()).hexdigest()[:16]

    def prefix(self, n_tokens: int) -> Text:
        """The first `n_tokens` tokens as a text of the same id."""
        if not 1 <= n_tokens <= len(self.tokens):
            raise ReproducerError(
                f"text {self.id!r}: expected a length between 1 and its {len(self.tokens)} "
                f"tokens, got {n_tokens}"
            )
        return self.model_copy(update={"tokens": self.tokens[:n_tokens]})

    def stretches(self, n_tokens: int) -> list[Text]:
        """Its stretches of `n_tokens` tokens, numbered in their ids; what is left over is none."""
        starts = range(0, len(self.tokens) - n_tokens + 1, n_tokens)
        return [
            self.model_copy(
                update={
                    "id": f"{self.id}[{number}]",
                    "tokens": self.tokens[start : start + n_tokens],
                }
            )
            for number, start in enumerate(starts)
        ]


def load_texts(source: str, model: str, n_texts: int, n_tokens: int) -> list[Text]:
    """The first `n_texts` texts of `source` that are at least `n_tokens` tokens long.

    Args:
        source: a name of `SOURCES`.
        model: the model whose tokenizer is used, by name.

    Raises:
        ReproducerError: unknown source, too few texts of that length (the longest usable
            length is named), a hub data set that cannot be had.
    """
    if n_texts < 1 or n_tokens < 1:
        raise ReproducerError(
            f"expected n_texts and n_tokens of at least 1, got {n_texts} and {n_tokens}"
        )
    if source not in STAND_INS:
        require_name("source", source, SOURCES)
    card = model_card(model)
    if source in RANDOM and (n_texts > RANDOM_TEXTS or n_tokens > card.max_positions):
        raise ReproducerError(
            f"source {source!r}: expected at most {RANDOM_TEXTS} texts of at most "
            f"{card.max_positions} tokens, got {n_texts} of {n_tokens}"
        )
    tokenizer = card.tokenizer
    texts, lengths = [], []
    for text in (SOURCES | STAND_INS)[source](tokenizer, n_tokens):
        lengths.append(len(text.tokens))
        if len(text.tokens) >= n_tokens:
            texts.append(text)
        if len(texts) == n_texts:
            return texts
    _too_few(source, n_texts, n_tokens, lengths)


def _too_few(source: str, n_texts: int, n_tokens: int, lengths: list[int]) -> None:
    enough = sum(length >= n_tokens for length in lengths)
    if len(lengths) < n_texts:
        detail = f"it holds {len(lengths)} texts in all"
    else:
        usable = sorted(lengths, reverse=True)[n_texts - 1]
        detail = f"the longest usable length for {n_texts} texts is {usable}"
    raise ReproducerError(
        f"source {source!r}: expected {n_texts} texts of {n_tokens} or more tokens, got {enough}; "
        f"{detail}"
    )


def halves(passage: str) -> tuple[str, str]:
    """First and second half of the sentences of `passage`; the second is the longer one."""
    # Imported late: it takes seconds.
    from nltk.tokenize import PunktSentenceTokenizer

    sentences = PunktSentenceTokenizer().tokenize(passage)
    middle = len(sentences) // 2
    return " ".join(sentences[:middle]), " ".join(sentences[middle:])


def passages(source: str) -> Iterator[Passage]:
    """The passages of a natural source: `unseen`, `seen`, `pg19` or `fanfics`."""
    return PASSAGES[require_name("source of passages", source, PASSAGES)]()


def _shipped(source: str) -> Iterator[Passage]:
    for entry in shipped_entries(source, "id", "first_half", "second_half"):
        yield Passage(*entry)


def hub_rows(name: str, offline: str) -> Iterator[dict]:
    """The rows of a hub data set; `offline` says in an error what works without the hub."""
    settle_hub()
    import datasets

    try:
        rows = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ReproducerError(
            f"cannot load data set {name!r} from the hub; {offline} without it: "
            f"{(str(error).splitlines() or [''])[0]}"
        ) from error
    yield from rows


def _hub(source: str) -> Iterator[Passage]:
    rows = hub_rows(HUB_DATASETS[source], "the sources unseen, seen and random work")
    for i, row in enumerate(rows):
        yield Passage(f"{source}-{i:05d}", *halves(row["text"]))


PASSAGES: dict[str, Callable[[], Iterator[Passage]]] = {
    **{name: partial(_shipped, name) for name in ("unseen", "seen")},
    **{name: partial(_hub, name) for name in HUB_DATASETS},
}


def _second_halves(source: str, tokenizer: TextTokenizer, n_tokens: int) -> Iterator[Text]:
    for passage in passages(source):
        yield Text(source=source, id=passage.id, tokens=tokenizer.encode(passage.second_half))


@lru_cache(maxsize=2)
def _vocabulary(which: str) -> list[str]:
    if which == "random-glove":
        from reproducer.texts.glove import glove_words

        return glove_words(RANDOM_VOCABULARY)
    import wordfreq

    return wordfreq.top_n_list("en", RANDOM_VOCABULARY)


def _random_words(which: str, tokenizer: TextTokenizer, n_tokens: int) -> Iterator[Text]:
    words = _vocabulary(which)
    for i in range(RANDOM_TEXTS):
        # Every word is at least one token; drawn one by one, a shorter text is a prefix.
        draw = random.Random(f"{which}-{i}")
        drawn = " ".join(draw.choice(words) for _ in range(n_tokens))
        tokens = tokenizer.encode(drawn)[:n_tokens]
        yield Text(source=which, id=f"{which}-{i:05d}", tokens=tokens)


SOURCES: dict[str, Callable[[TextTokenizer, int], Iterator[Text]]] = {
    "random": partial(_random_words, "random-wordfreq"),
    "random-glove": partial(_random_words, "random-glove"),
    **{name: partial(_second_halves, name) for name in PASSAGES},
}


def _drawn_tokens(which: str, tokenizer: TextTokenizer, n_tokens: int) -> Iterator[Text]:
    for i in range(RANDOM_TEXTS):
        draw = random.Random(f"{which}-{i}")
        tokens = tuple(draw.choices(range(STAND_IN_TOKENS), k=n_tokens))
        yield Text(source=which, id=f"{which}-{i:05d}", tokens=tokens)


# Token ids in place of what a download brings, to count fits with: each source has its own.
STAND_INS = {
    f"stand-in:{name}": partial(_drawn_tokens, f"stand-in:{name}")
    for name in (*HUB_DATASETS, "random-glove")
}
