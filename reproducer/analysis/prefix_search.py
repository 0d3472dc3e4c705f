"""The longest prefix that can be reconstructed, on a grid of lengths, with few fits.

Two strategies. `grid` tries every length, as the paper does, and takes the longest that
succeeded. `bisect` halves the grid: it ends where one length succeeded and the next one of the
grid failed, which is the longest of all whenever success is monotone in length, after about
log2(n_lengths + 1) fits instead of n_lengths.

Searches of many texts go in rounds, so that one round's fits share batches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from reproducer.errors import ReproducerError

Strategy = Literal["grid", "bisect"]
Key = TypeVar("Key", bound=Hashable)
# For each (key, length) whether the fit succeeds; None if that cannot be known now.
Attempt = Callable[[list[tuple[Key, int]]], list[bool | None]]


def checked_grid(lengths: Sequence[int]) -> tuple[int, ...]:
    """`lengths` in ascending order, each once.

    Raises:
        ReproducerError: no length, or one below 1.
    """
    if not lengths:
        raise ReproducerError("expected at least one length in the grid, got none")
    if min(lengths) < 1:
        raise ReproducerError(f"expected lengths of at least 1, got {min(lengths)}")
    return tuple(sorted(set(lengths)))


@dataclass
class PrefixSearch:
    """The search of one text: what has been tried, and what to try next.

    `tried` maps lengths to outcomes in the order they were tried.
    """

    grid: tuple[int, ...]
    strategy: Strategy
    tried: dict[int, bool] = field(default_factory=dict)
    stuck: bool = False

    @property
    def probes(self) -> list[int]:
        """Lengths to try next; empty when the search is done or stuck."""
        if self.stuck:
            return []
        if self.strategy == "grid":
            return [n for n in self.grid if n not in self.tried]
        low, high = self._bracket()
        return [self.grid[(low + high) // 2]] if high - low > 1 else []

    def _bracket(self) -> tuple[int, int]:
        """Grid indices of the longest success so far and the failure above it."""
        low, high = -1, len(self.grid)
        for i, n in enumerate(self.grid):
            if self.tried.get(n) is True:
                low = i
        for i in range(len(self.grid) - 1, low, -1):
            if self.tried.get(self.grid[i]) is False:
                high = i
        return low, high

    @property
    def longest(self) -> int:
        """The longest length that succeeded; 0 if none did."""
        return max((n for n, ok in self.tried.items() if ok), default=0)


def search_prefixes(
    keys: Iterable[Key], lengths: Sequence[int], strategy: Strategy, attempt: Attempt
) -> dict[Key, PrefixSearch]:
    """Search the longest prefix of every key, all in step.

    Args:
        keys: one for each text (and setting).
        attempt: called once a round with all (key, length) of the round. An answer of None
            leaves that search unfinished (`stuck`).
    """
    grid = checked_grid(lengths)
    searches = {key: PrefixSearch(grid, strategy) for key in keys}
    while asked := [(key, n) for key, search in searches.items() for n in search.probes]:
        for (key, n), ok in zip(asked, attempt(asked), strict=True):
            if ok is None:
                searches[key].stuck = True
            else:
                searches[key].tried[n] = ok
    return searches
