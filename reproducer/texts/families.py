"""Families of texts that say the same: an original and its paraphrases.

`paraphrases` were written for this repository (`data/texts/`). `dolly` has the originals that
Bondarenko et al. used, answers of Dolly-15k, which a language model paraphrases
(`reproducer.readings.paraphrases`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from reproducer.errors import ReproducerError, require_name
from reproducer.paths import data_dir
from reproducer.texts.sources import hub_rows

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


def _shipped() -> Iterator[Family]:
    lines = (data_dir() / "texts" / "paraphrases.jsonl").read_text(encoding="utf-8").splitlines()
    for entry in map(json.loads, lines):
        yield Family(entry["id"], entry["original"], tuple(entry["paraphrases"]))


def _dolly() -> Iterator[Family]:
    for number, row in enumerate(hub_rows(DOLLY, "the source paraphrases works")):
        original = " ".join(row["response"].split())
        if len(original.split()) in DOLLY_WORDS:
            yield Family(f"dolly-{number:05d}", original, None)


FAMILIES: dict[str, Callable[[], Iterator[Family]]] = {"paraphrases": _shipped, "dolly": _dolly}
