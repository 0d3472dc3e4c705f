"""Text sources, and the selection of a text from each as the papers do it.

A passage is split into sentences; its second half, tokenized by the model's own tokenizer,
is the text, and an experiment fits the first N tokens of it (Kuratov et al. §4, followed by
Mezentsev & Oseledets §4). Random words have no sentences, and a generated text *is* a
second half, so both are taken whole.

A text is identified by its source, its place there and a digest of its tokens, since what
some sources hold depends on the Python version or on the model.
"""

from __future__ import annotations

import hashlib
import json
import pydoc_data.topics
import random
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache

from nltk.tokenize import PunktSentenceTokenizer
from pydantic import BaseModel, ConfigDict

from reproducer.errors import ReproducerError, require_name
from reproducer.models.language_model import LanguageModel
from reproducer.paths import data_dir

HUB_DATASETS = {
    "pg19": "yurakuratov/pg19_valid_1k_chunks",
    "fanfics": "yurakuratov/fanfics_1k_chunks",
}
RANDOM_VOCABULARY = 100_000
RANDOM_TEXTS = 1000


class Text(BaseModel):
    """A tokenized text: where it comes from and its token ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    id: str
    tokens: tuple[int, ...]

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


def load_texts(source: str, lm: LanguageModel, n_texts: int, n_tokens: int) -> list[Text]:
    """The first `n_texts` texts of `source` that are at least `n_tokens` tokens long.

    Args:
        source: a name of `SOURCES`. `generated` continues `unseen` passages, and
            `generated:<source>` those of another source.

    Raises:
        ReproducerError: unknown source, too few texts of that length (the longest usable
            length is named), a hub data set that cannot be had.
    """
    if n_texts < 1 or n_tokens < 1:
        raise ReproducerError(
            f"expected n_texts and n_tokens of at least 1, got {n_texts} and {n_tokens}"
        )
    base, _, contexts = source.partition(":")
    require_name("source", base, SOURCES)
    if base == "generated":
        # Imported late: sampling needs corpora for its contexts.
        from reproducer.texts.sampled import generated_texts

        return generated_texts(lm, contexts or "unseen", n_texts, n_tokens)
    texts, lengths = [], []
    for text in SOURCES[base](lm, n_tokens):
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


def tokenize(lm: LanguageModel, text: str) -> tuple[int, ...]:
    """Token ids of `text` without special tokens."""
    return tuple(lm.tokenizer(text, add_special_tokens=False)["input_ids"])


def halves(passage: str) -> tuple[str, str]:
    """First and second half of the sentences of `passage`; the second is the longer one."""
    sentences = PunktSentenceTokenizer().tokenize(passage)
    middle = len(sentences) // 2
    return " ".join(sentences[:middle]), " ".join(sentences[middle:])


def passages(source: str) -> Iterator[tuple[str, str]]:
    """(id, whole passage) of a natural source: `unseen`, `seen`, `pg19` or `fanfics`."""
    return PASSAGES[require_name("source of passages", source, PASSAGES)]()


def _unseen() -> Iterator[tuple[str, str]]:
    lines = (data_dir() / "texts" / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    for entry in map(json.loads, lines):
        yield entry["id"], entry["text"]


def _seen() -> Iterator[tuple[str, str]]:
    for topic, page in sorted(pydoc_data.topics.topics.items()):
        blocks = re.split(r"\n\s*\n", page)
        prose = [" ".join(block.split()) for block in blocks if _is_prose(block)]
        if prose:
            yield f"seen-{topic}", " ".join(prose)


def _is_prose(block: str) -> bool:
    """Running sentences, not code, grammar, tables or headings."""
    block = textwrap.dedent(block).strip()
    return bool(re.match(r"[A-Z].*[.]$", block, re.DOTALL)) and not re.search(
        r"::=|>>>|^\s|[*=+-]{4}", block, re.MULTILINE
    )


def hub_rows(name: str, offline: str) -> Iterator[dict]:
    """The rows of a hub data set; `offline` says in an error what works without the hub."""
    import datasets

    try:
        rows = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise ReproducerError(
            f"cannot load data set {name!r} from the hub; {offline} without it: "
            f"{(str(error).splitlines() or [''])[0]}"
        ) from error
    yield from rows


def _hub(source: str) -> Callable[[], Iterator[tuple[str, str]]]:
    def load() -> Iterator[tuple[str, str]]:
        rows = hub_rows(HUB_DATASETS[source], "the sources unseen, seen and random work")
        for i, row in enumerate(rows):
            yield f"{source}-{i:05d}", row["text"]

    return load


PASSAGES = {"unseen": _unseen, "seen": _seen, "pg19": _hub("pg19"), "fanfics": _hub("fanfics")}


def _second_halves(source: str) -> Callable[[LanguageModel, int], Iterator[Text]]:
    def texts(lm: LanguageModel, n_tokens: int) -> Iterator[Text]:
        for name, passage in passages(source):
            yield Text(source=source, id=name, tokens=tokenize(lm, halves(passage)[1]))

    return texts


@lru_cache(maxsize=2)
def _vocabulary(which: str) -> list[str]:
    if which == "random-glove":
        from reproducer.texts.glove import glove_words

        return glove_words(RANDOM_VOCABULARY)
    import wordfreq

    return wordfreq.top_n_list("en", RANDOM_VOCABULARY)


def _random_words(which: str) -> Callable[[LanguageModel, int], Iterator[Text]]:
    def texts(lm: LanguageModel, n_tokens: int) -> Iterator[Text]:
        words = _vocabulary(which)
        for i in range(RANDOM_TEXTS):
            # Every word is at least one token; drawn one by one, a shorter text is a prefix.
            draw = random.Random(f"{which}-{i}")
            drawn = " ".join(draw.choice(words) for _ in range(n_tokens))
            yield Text(source=which, id=f"{which}-{i:05d}", tokens=tokenize(lm, drawn)[:n_tokens])

    return texts


SOURCES: dict[str, Callable[[LanguageModel, int], Iterator[Text]] | None] = {
    "random": _random_words("random-wordfreq"),
    "random-glove": _random_words("random-glove"),
    "unseen": _second_halves("unseen"),
    "seen": _second_halves("seen"),
    "pg19": _second_halves("pg19"),
    "fanfics": _second_halves("fanfics"),
    "generated": None,
}
