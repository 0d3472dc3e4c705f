"""The one error type that users are meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ReproducerError(ValueError):
    """Bad input or a missing resource, told in one line: what was expected and what came.

    The command line prints the message and exits with status 2; in a notebook it is an
    ordinary exception.
    """


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A closing phrase such as ``did you mean 'quick'? Known: paper, quick, smoke``."""
    names = sorted(choices)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"


def require_name(kind: str, word: str, choices: Iterable[str]) -> str:
    """Return ``word`` if it is one of ``choices``, else raise with the nearest valid name."""
    names = list(choices)
    if word not in names:
        raise ReproducerError(f"unknown {kind} {word!r}; {did_you_mean(word, names)}")
    return word
