"""Write `sentences.jsonl`: the first sentences that the grammars derive, for each class and group.

Run again after the grammars or the lexicon have changed (`python data/texts/sentences.py`). The
sentences are kept because deriving them needs nltk, whose import takes seconds.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from reproducer.texts.grammars import CLASSES, GROUPS, derived

# Ten of each class and group with 10 tokens, as the experiment on syntax asks for, need 1176.
N_SENTENCES = 1200


def lines() -> list[str]:
    """A line for each class and vocabulary group."""
    return [
        json.dumps({"class": name, "group": group, "sentences": first_derived(name, group)})
        for name in CLASSES
        for group in GROUPS
    ]


def first_derived(name: str, group: int) -> list[str]:
    return list(islice(derived(name, group), N_SENTENCES))


if __name__ == "__main__":
    path = Path(__file__).parent / "sentences.jsonl"
    path.write_text("\n".join(lines()) + "\n", encoding="utf-8")
