"""What is wrong in built pages, put right: two roles, and the search for plain letters."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

INDEX = re.compile(r"^Search\.setIndex\((.*)\)\s*$", re.DOTALL)
# A list whose children are no list items, and a button whose name hides the text on it.
LIST = '<div role="list" class="citation-list">'
BUTTON = re.compile(r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"')


def mend(html: Path) -> None:
    """Mend the built pages in the folder `html`, in place."""
    for path in html.rglob("*.html"):
        before = path.read_text(encoding="utf-8")
        after = BUTTON.sub(r"\1", before.replace(LIST, '<div class="citation-list">'))
        if after != before:
            path.write_text(after, encoding="utf-8")
    index = html / "searchindex.js"
    if found := INDEX.match(index.read_text(encoding="utf-8")):
        folded = json.dumps(with_plain_letters(json.loads(found[1])))
        index.write_text(f"Search.setIndex({folded})", encoding="utf-8")


def with_plain_letters(index: dict) -> dict:
    """A search index whose words with accents are found without them, too: Bézier as Bezier."""
    folded = dict(index)
    for name in ("terms", "titleterms"):
        words = dict(index.get(name, {}))
        for word, places in index.get(name, {}).items():
            if (plain := _plain(word)) and plain != word:
                words[plain] = sorted({*_listed(places), *_listed(words.get(plain, []))})
        folded[name] = words
    return folded


def _plain(word: str) -> str:
    """The word without accents, or nothing where other letters remain."""
    letters = unicodedata.normalize("NFKD", word)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return plain if plain.isascii() else ""


def _listed(places: int | list[int]) -> list[int]:
    return places if isinstance(places, list) else [places]
