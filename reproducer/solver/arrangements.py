"""Arrangements: in which order the proto-tokens `e` and `m` enter the model.

An arrangement is a pattern of roles and an offset, the number of leading inputs that
predict nothing. The five of Mezentsev & Oseledets (Table 1) are below, and two of our own;
another is one line of `ARRANGEMENTS`. The captions of that table contradict its copy counts,
and we go by the counts: `[e] [m]x(N-1)` has N inputs, so `e` predicts the first token, while
`[e] [m]xN` has N+1 inputs, so `e` predicts nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
        # Not in the papers: the first position, an attention sink, is left to an `m`, and `e`
        # predicts nothing, or the first token.
        Arrangement("[m] [e] [m]xN", lambda n: "me" + "m" * n, offset=2),
        Arrangement("[m] [e] [m]x(N-1)", lambda n: "me" + "m" * (n - 1), offset=1),
    )
}


def arrangement(name: str) -> Arrangement:
    """Look an arrangement up by name; an unknown name raises with the nearest valid one."""
    return ARRANGEMENTS[require_name("arrangement", name, ARRANGEMENTS)]


def accuracy_bound(name: str, tokens: Sequence[int]) -> float:
    """The highest accuracy at which any `e` and `m` can give `tokens` under an arrangement.

    Inputs that are one vector cannot differ in a decoder with rotary embeddings: these turn
    queries and keys but not values, so that attention over equal values, however it weighs them,
    gives that value, at every position and, by induction, in every layer. A run of equal roles
    that starts at the first input therefore predicts one token throughout and gets at most the
    commonest of its targets. Positions after the run see different values and are not bounded.

    Raises:
        ReproducerError: an unknown arrangement, or no tokens.
    """
    pattern = arrangement(name)
    roles = pattern.roles(len(tokens))
    run = len(roles) - len(roles.lstrip(roles[0]))
    alike = tokens[: max(0, run - pattern.offset)]
    commonest = max(Counter(alike).values(), default=0)
    return (len(tokens) - len(alike) + commonest) / len(tokens)
