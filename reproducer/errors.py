"""The one error type that users are meant to see."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SHOWN = 80  # characters of a value that an error repeats


class ReproducerError(ValueError):
    """Bad input or a missing resource, told in one line: what was expected and what came.

    The command line prints the message and exits with status 2; in a notebook it is an
    ordinary exception.
    """


def shown(value: object) -> str:
    """A value as an error repeats it: its `repr`, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        return "a number of thousands of digits"
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A closing phrase such as ``did you mean 'quick'? Known: paper, quick, smoke``."""
    names = sorted(choices)
    close = difflib.get_close_matches(word[:SHOWN], names, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"


def require_name(kind: str, word: str, choices: Iterable[str]) -> str:
    """Return ``word`` if it is one of ``choices``, else raise with the nearest valid name."""
    names = list(choices)
    if not isinstance(word, str) or word not in names:
        hint = did_you_mean(word if isinstance(word, str) else "", names)
        raise ReproducerError(f"unknown {kind} {shown(word)}; {hint}")
    return word
