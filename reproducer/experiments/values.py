"""Values of parameters, as they are typed, brought to the types of their fields.

A command line and papermill hand over text. A field that is text takes it as it stands; for any
other field it is YAML, so that `[1, 3]` is two lengths.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml

from reproducer.errors import ReproducerError, shown

MOST_COUNTED = 10_000  # texts, seeds, draws: each is a fit or more
MOST = 1_000_000
MOST_SEED = 2**32 - 1


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few of them write out a list of billions."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ReproducerError("expected YAML without aliases")
        return super().compose_node(parent, index)


def typed(name: str, annotation: Any, value: Any) -> Any:
    """`value` as the field `name` of this type takes it; the type itself is not checked.

    Raises:
        ReproducerError: text that is not YAML, a number below 0 or too large to be meant.
    """
    if isinstance(value, str) and not _takes_text(annotation):
        value = _from_yaml(value)
    value = _tuples(value)
    most = _most(name)
    for number in _numbers(value):
        if not 0 <= number <= most:  # NaN is not, either
            raise ReproducerError(f"expected numbers from 0 to {most}, got {shown(number)}")
    return value


def _takes_text(annotation: Any) -> bool:
    """Whether a field is text, or a choice of words, by itself rather than a list of them."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _takes_text(parts[0])
    if origin is Literal:
        return any(isinstance(choice, str) for choice in parts)
    if origin in (Union, types.UnionType):
        return any(map(_takes_text, parts))
    return annotation is str


def _from_yaml(text: str) -> Any:
    try:
        return yaml.load(text, _PlainLoader)
    except ReproducerError as error:
        raise ReproducerError(f"{error}, got {shown(text)}") from error
    # Beside its own error the library raises whatever its parts do, and runs out of stack.
    except Exception as error:
        raise ReproducerError(f"expected YAML, got {shown(text)}") from error


def _tuples(value: Any) -> Any:
    """`value` with tuples in place of lists, as frozen fields hold them."""
    if isinstance(value, list | tuple):
        return tuple(map(_tuples, value))
    return tuple(value) if isinstance(value, range) else value


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _most(name: str) -> int:
    if name == "seed":
        return MOST_SEED
    counts = name.startswith("n_") and not name.endswith("_tokens")
    return MOST_COUNTED if counts else MOST
