"""The ledger for a terminal: a tally, then the claims of each paper and our own.

A claim takes one line where the terminal is wide enough, else two. What does not fit is cut with
an ellipsis; `full` shows all of it, `as_csv` prints it for other programs.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from reproducer.experiments.claims import NOT_IN_PAPERS, Verdict

# Words in the order of the tally, each with its icon and its style.
WORDS = {
    "reproduced": ("✓", "green"),
    "holds": ("✓", "green"),
    "partly": ("◐", "cyan"),
    "inconclusive": ("?", "yellow"),
    "contradicted": ("✗", "red"),
    "does not hold": ("✗", "red"),
    "not tested here": ("·", "dim"),
}
GROUPS = {"A": "Paper A", "B": "Paper B", "own": "Our own"}
ONE_LINE = 132  # columns from which a claim fits on one line
INDENT = " " * 4
SURVIVES = "*"


def compact(verdicts: Sequence[Verdict], width: int) -> Iterator[Text]:
    """The lines of the ledger in `width` columns: a tally, then group after group."""
    if not verdicts:
        yield Text("No verdict follows from the results that are stored under this profile.")
        return
    groups = {name: [v for v in verdicts if _group(v) == name] for name in GROUPS}
    for name, members in groups.items():
        if members:
            yield from _tally(GROUPS[name], members, width)
    if any(v.holm for v in verdicts):
        yield _cut(Text(f"{SURVIVES} survives Holm's correction in its group"), width)
    id_width = max(len(v.id) for v in verdicts)
    for name, members in groups.items():
        if members:
            yield Text()
            yield Text(GROUPS[name], style="bold")
        for v in members:
            lines = _one_line(v, width, id_width) if width >= ONE_LINE else _two_lines(v)
            yield from (_cut(line, width) for line in lines)


def _group(v: Verdict) -> str:
    return "own" if v.own else v.id[0]


def _tally(title: str, members: list[Verdict], width: int) -> Iterator[Text]:
    """How many claims have which word; a word that does not fit begins another line."""
    counts = Counter(v.verdict for v in members)
    line = Text(f"{title}: {len(members)} claims:")
    for word, (icon, style) in WORDS.items():
        if not counts[word]:
            continue
        part = f"  {icon} {counts[word]} {word}"
        if len(line) + len(part) > width:
            yield _cut(line, width)
            line = Text("  ")
        line.append(part, style=style)
    yield _cut(line, width)


def _two_lines(v: Verdict) -> list[Text]:
    n = f"n = {v.n} {v.unit}" if v.n else ""
    paper = _published(v)
    return [_head(v), Text(INDENT + "; ".join(filter(None, (_ours(v), n, paper))))]


def _one_line(v: Verdict, width: int, id_width: int) -> list[Text]:
    n = f"n = {v.n}" if v.n else ""
    numbers = f"{_ours(v):26}  {n:8}"
    left = width - id_width - len(numbers) - 8
    claim, paper = Text(_short(v)), Text(_published(v))
    for cell, columns in ((claim, left * 3 // 5), (paper, left - left * 3 // 5)):
        cell.truncate(columns, overflow="ellipsis", pad=True)
    line = Text.assemble(_icon(v), f" {v.id:{id_width}}  ", claim, f"  {numbers}  ", paper)
    line.rstrip()
    return [line]


def _head(v: Verdict) -> Text:
    return Text.assemble(_icon(v), " ", (v.id, "bold"), f"  {_short(v)}")


def _icon(v: Verdict) -> tuple[str, str]:
    return WORDS[v.verdict]


def _short(v: Verdict) -> str:
    """The claim without what follows its colon: how it was measured."""
    return v.claim.partition(": ")[0]


def _published(v: Verdict) -> str:
    return "" if v.published == NOT_IN_PAPERS else f"paper: {v.published}"


def _ours(v: Verdict) -> str:
    if v.ours is None:
        return "no number"
    interval = "" if v.low is v.high is None else f" ({number(v.low)} … {number(v.high)})"
    return f"{number(v.ours)}{interval}{SURVIVES if v.holm else ''}"


def number(value: float | None) -> str:
    """A number of the ledger; a dash for none, or for an end that the data leave open."""
    if value is None:
        return "–"
    return f"{value:z.3f}" if abs(value) < 10 else f"{value:.1f}"


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def full(verdicts: Sequence[Verdict], width: int) -> Iterator[Text]:
    """All fields of each claim, a line or more for each field."""
    labels = max(map(len, Verdict.model_fields)) + 2
    for v in verdicts:
        yield _head(v)
        for name, value in v.model_dump(exclude={"id"}).items():
            told = "; ".join(value) if isinstance(value, tuple) else _told(value)
            lines = textwrap.wrap(told, max(20, width - labels - len(INDENT))) or ["–"]
            for label, line in zip([name] + [""] * len(lines), lines, strict=False):
                yield Text(f"{INDENT}{label:{labels}}{line}")
        yield Text()


def _told(value: object) -> str:
    return "–" if value is None else str(value)


def as_csv(verdicts: Sequence[Verdict]) -> str:
    """All fields as CSV, one row for each claim; parts are joined by a bar."""
    table = io.StringIO()
    writer = csv.DictWriter(table, list(Verdict.model_fields), lineterminator="\n")
    writer.writeheader()
    for v in verdicts:
        writer.writerow(v.model_dump() | {"parts": " | ".join(v.parts)})
    return table.getvalue()
