"""Families of texts that say the same: an original and its paraphrases.

`paraphrases` were written for this repository (`data/texts/`). `dolly` has the originals that
Bondarenko et al. used, answers of Dolly-15k, which a language model paraphrases
(`reproducer.readings.paraphrases`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from reproducer.errors import ReproducerError, require_name
from reproducer.texts.misspellings import lexical_variants
from reproducer.texts.shipped import shipped_entries
from reproducer.texts.sources import Text, hub_rows

if TYPE_CHECKING:
    from reproducer.models.card import TextTokenizer

DOLLY = "databricks/databricks-dolly-15k"
DOLLY_WORDS = range(15, 61)


@dataclass(frozen=True)
class Family:
    """An original and texts of the same meaning; None where they are still to be written."""

    id: str
    original: str
    paraphrases: tuple[str, ...] | None


def load_families(source: str, n_families: int) -> list[Family]:
    """The first families of a source of `FAMILIES`; raises if it has too few."""
    require_name("source of families", source, FAMILIES)
    families = list(islice(FAMILIES[source](), n_families))
    if len(families) < n_families:
        raise ReproducerError(
            f"source {source!r}: expected {n_families} originals, got {len(families)}"
        )
    return families


def family_texts(
    family: Family,
    source: str,
    tokenizer: TextTokenizer,
    n_tokens: int | None,
    n_lexical: int,
    n_paraphrases: int,
) -> list[Text]:
    """Original, misspelt variants and paraphrases, cut; ids are `family/kind/number`.

    Errors are put into the part that is fitted, and every text is new in that part.

    Args:
        n_tokens: the length of every text, or None for whole ones.

    Raises:
        ReproducerError: a text of fewer than `n_tokens` tokens.
    """

    def cut(sentence: str) -> tuple[int, ...]:
        return tokenizer.encode(sentence)[:n_tokens]

    fitted = cut(family.original)
    seen = {fitted}
    prefix = tokenizer.decode(fitted)
    rest = family.original.removeprefix(prefix)

    def is_new(variant: str) -> bool:
        tokens = cut(variant + rest)
        new = tokens not in seen and len(tokens) >= (n_tokens or 1)
        seen.update({tokens} if new else ())
        return new

    misspelt = [v + rest for v in lexical_variants(prefix, n_lexical, is_new)]
    rewritten = (family.paraphrases or ())[:n_paraphrases]
    groups = {"original": [family.original], "lexical": misspelt, "paraphrase": rewritten}
    texts = [
        Text(source=source, id=f"{family.id}/{kind}/{number}", tokens=cut(sentence))
        for kind, sentences in groups.items()
        for number, sentence in enumerate(sentences)
    ]
    for text in texts if n_tokens else ():
        text.prefix(n_tokens)  # raises for a text that is shorter
    return texts


def _shipped() -> Iterator[Family]:
    fields = ("id", "original", "paraphrases")
    for name, original, paraphrases in shipped_entries("paraphrases", *fields):
        yield Family(name, original, tuple(paraphrases))


def _dolly() -> Iterator[Family]:
    for number, row in enumerate(hub_rows(DOLLY, "the source paraphrases works")):
        original = " ".join(row["response"].split())
        if len(original.split()) in DOLLY_WORDS:
            yield Family(f"dolly-{number:05d}", original, None)


FAMILIES: dict[str, Callable[[], Iterator[Family]]] = {"paraphrases": _shipped, "dolly": _dolly}
