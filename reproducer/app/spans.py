"""What came back of a text, right and wrong, in whole characters.

A character may span several tokens (Cyrillic letters, emoji), and what a reader sees as one may
span several code points (a letter with its accents, emoji that are joined). Here a part of the
text ends only where such a character ends; within a part, one wrong token makes all of it wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import regex

BROKEN = "\ufffd"  # what a decoder puts in place of bytes that are no character
CUT = "…"


class Span(NamedTuple):
    """A part of the text: as it was wanted, as it came, and whether all its tokens are right."""

    wanted: str
    came: str
    right: bool


def spans(
    wanted: Sequence[int],
    came: Sequence[int],
    decode: Callable[[Sequence[int]], str],
    text: str,
) -> list[Span]:
    """The parts of a text, right and wrong in turn.

    Args:
        wanted: token ids of the text; came: as many, that came in their places.
        decode: from token ids to text.
        text: what the tokens were taken from. A character of it that the last token cuts in two is
            shown as "…".
    """
    ends = whole_characters(wanted, decode)
    right_until = [
        (list(wanted[first:after]) == list(came[first:after]), after, end)
        for (first, _), (after, end) in pairwise([(0, 0), *ends])
    ]
    whole, first, begin = decode(wanted), 0, 0
    found = []
    for right, group in groupby(right_until, key=lambda part: part[0]):
        *_, (_, after, end) = group
        asked = whole[begin:end]
        if after == len(wanted) and asked.endswith(BROKEN) and not text.startswith(whole):
            asked = asked.rstrip(BROKEN) + CUT
        found.append(Span(asked, asked if right else decode(came[first:after]), right))
        first, begin = after, end
    return found


def whole_characters(
    wanted: Sequence[int], decode: Callable[[Sequence[int]], str]
) -> list[tuple[int, int]]:
    """Where tokens and whole characters end together: the tokens and the code points until there.

    Growing prefixes are decoded: one that ends within a character is none of the whole text's.
    """
    whole = decode(wanted)
    seen_as_one = {match.end() for match in regex.finditer(r"\X", whole)}
    ends = [(0, 0)]
    for n_tokens in range(1, len(wanted)):
        begun = decode(wanted[:n_tokens])
        if len(begun) > ends[-1][1] and len(begun) in seen_as_one and whole.startswith(begun):
            ends.append((n_tokens, len(begun)))
    return [*ends[1:], (len(wanted), len(whole))]
