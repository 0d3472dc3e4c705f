"""Arrangements: in which order the proto-tokens `e` and `m` enter the model.

An arrangement is a pattern of roles and an offset, the number of leading inputs that
predict nothing. The five of Mezentsev & Oseledets (Table 1) are below, and one of our own;
another is one line of `ARRANGEMENTS`. The captions of that table contradict its copy counts,
and we go by the counts: `[e] [m]x(N-1)` has N inputs, so `e` predicts the first token, while
`[e] [m]xN` has N+1 inputs, so `e` predicts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reproducer.errors import ReproducerError, require_name


@dataclass(frozen=True)
class Arrangement:
    """A pattern of proto-tokens.

    `pattern` maps the number of tokens N to a string of roles, one letter an input; the
    inputs `offset … offset + N − 1` (counted from 0) predict tokens 1 … N. Where a pattern
    halves an odd N, the first half is the longer one.
    """

    name: str
    pattern: Callable[[int], str]
    offset: int = 0

    def roles(self, n_tokens: int) -> str:
        """The role, `e` or `m`, of each of the `offset + n_tokens` inputs."""
        if n_tokens < 1:
            raise ReproducerError(f"expected n_tokens of at least 1, got {n_tokens}")
        return self.pattern(n_tokens)

    def n_inputs(self, n_tokens: int) -> int:
        """How many input positions a text of `n_tokens` tokens needs."""
        return self.offset + n_tokens


ARRANGEMENTS: dict[str, Arrangement] = {
    a.name: a
    for a in (
        Arrangement("[e]xN", lambda n: "e" * n),
        Arrangement("[e]x(N/2) [m]x(N/2)", lambda n: "e" * (n - n // 2) + "m" * (n // 2)),
        Arrangement("[e m]x(N/2)", lambda n: ("em" * n)[:n]),
        Arrangement("[e] [m]xN", lambda n: "e" + "m" * n, offset=1),
        Arrangement("[e] [m]x(N-1)", lambda n: "e" + "m" * (n - 1)),
        # Not in the papers: the first position, an attention sink, is left to an `m`.
        Arrangement("[m] [e] [m]xN", lambda n: "me" + "m" * n, offset=2),
    )
}


def arrangement(name: str) -> Arrangement:
    """Look an arrangement up by name; an unknown name raises with the nearest valid one."""
    return ARRANGEMENTS[require_name("arrangement", name, ARRANGEMENTS)]
