"""Write `seen.jsonl` from Python's own documentation, and halve the passages of `unseen.jsonl`.

Run once, with CPython 3.11 (`python data/texts/split.py`): what the documentation says depends on
the version, so the passages are kept here and read from here.
"""

from __future__ import annotations

import json
import pydoc_data.topics
import re
import textwrap
from pathlib import Path

from reproducer.texts.sources import halves

HERE = Path(__file__).parent


def is_prose(block: str) -> bool:
    """Running sentences, not code, grammar, tables or headings."""
    block = textwrap.dedent(block).strip()
    return bool(re.match(r"[A-Z].*[.]$", block, re.DOTALL)) and not re.search(
        r"::=|>>>|^\s|[*=+-]{4}", block, re.MULTILINE
    )


def halved(entry: dict[str, str]) -> dict[str, str]:
    """`text` in place of its two halves."""
    first, second = halves(entry.pop("text"))
    return entry | {"first_half": first, "second_half": second}


def write(name: str, entries: list[dict[str, str]]) -> None:
    lines = (json.dumps(halved(entry), ensure_ascii=False) for entry in entries)
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def seen() -> list[dict[str, str]]:
    entries = []
    for topic, page in sorted(pydoc_data.topics.topics.items()):
        blocks = re.split(r"\n\s*\n", page)
        prose = [" ".join(block.split()) for block in blocks if is_prose(block)]
        if prose:
            entries.append({"id": f"seen-{topic}", "text": " ".join(prose)})
    return entries


def unseen() -> list[dict[str, str]]:
    lines = (HERE / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    write("seen.jsonl", seen())
    if "text" in unseen()[0]:
        write("unseen.jsonl", unseen())
