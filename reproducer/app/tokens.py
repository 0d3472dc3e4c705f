"""Tokens of a reconstruction as HTML: characters whole, wrong tokens beside the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from reproducer.app.spans import whole_characters
from reproducer.models.card import TextTokenizer

# A rule under a token tells right from wrong without its colour, on light and dark pages alike.
RULES = {True: "2px solid #2e9e57", False: "2px dashed #d1495b"}


class Piece(NamedTuple):
    """Consecutive tokens that make whole characters: what was wanted, what came, how many."""

    wanted: str
    came: str
    right: bool
    n_tokens: int


def pieces(tokenizer: TextTokenizer, wanted: Sequence[int], came: Sequence[int]) -> list[Piece]:
    """The tokens side by side, joined where one character of what was wanted spans several."""
    whole, found = tokenizer.decode(wanted), []
    ends = [(0, 0), *whole_characters(wanted, tokenizer.decode)]
    for (first, begin), (after, end) in pairwise(ends):
        theirs = list(came[first:after])
        right = theirs == list(wanted[first:after])
        found.append(Piece(whole[begin:end], tokenizer.decode(theirs), right, after - first))
    return found


def tokens_html(shown: Sequence[Piece]) -> str:
    """The pieces as one line: a solid rule under right ones; wrong ones dashed, then the right."""
    spans = []
    for piece in shown:
        text = escape(_visible(piece.came))
        word = "right" if piece.right else "wrong"
        style = f"border-bottom:{RULES[piece.right]};margin-right:2px;white-space:pre-wrap"
        spans.append(f'<span class="token {word}" style="{style}">{text}</span>')
        if not piece.right:
            spans.append(
                f'<del class="wanted" title="wanted">{escape(_visible(piece.wanted))}</del> '
            )
    return f'<p class="tokens" translate="no">{"".join(spans)}</p>'


def _visible(text: str) -> str:
    return text.replace("\n", "↵").replace("\t", "⇥")
