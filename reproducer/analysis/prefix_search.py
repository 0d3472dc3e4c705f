"""The longest prefix that can be reconstructed, on a grid of lengths, with few fits.

Three strategies. `grid` tries every length, as the paper does, and takes the longest that
succeeded. `bisect` halves the grid: it ends where one length succeeded and the next one of the
grid failed, which is the longest of all whenever success is monotone in length, after about
log2(n_lengths + 1) fits instead of n_lengths. `grow` climbs the grid until a length fails.

A search is replayed from its outcomes: what is known decides what is asked for next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from reproducer.errors import ReproducerError

Strategy = Literal["grid", "bisect", "grow"]


def checked_grid(lengths: Sequence[int], end: int = 0) -> tuple[int, ...]:
    """`lengths` in ascending order, each once; beyond them the last step goes on up to `end`.

    Raises:
        ReproducerError: no length, or one below 1.
    """
    if not lengths:
        raise ReproducerError("expected at least one length in the grid, got none")
    if min(lengths) < 1:
        raise ReproducerError(f"expected lengths of at least 1, got {min(lengths)}")
    grid = sorted(set(lengths))
    step = grid[-1] - grid[-2] if len(grid) > 1 else grid[-1]
    return tuple(grid + list(range(grid[-1] + step, end + 1, step)))


@dataclass
class PrefixSearch:
    """The search of one text: what has been tried, and what to try next.

    `tried` maps lengths to outcomes in the order they were tried; `wanted` are the lengths whose
    outcomes have to be known for the search to go on, none once it is finished.
    """

    grid: tuple[int, ...]
    strategy: Strategy
    tried: dict[int, bool] = field(default_factory=dict)
    wanted: list[int] = field(default_factory=list)

    @property
    def probes(self) -> list[int]:
        """Lengths to try next; empty when the search is done."""
        if self.strategy == "grid":
            return [n for n in self.grid if n not in self.tried]
        if self.strategy == "grow":
            return [] if False in self.tried.values() else list(self.grid[len(self.tried) :][:1])
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


def search_prefix(
    grid: tuple[int, ...], strategy: Strategy, outcome: Callable[[int], bool | None]
) -> PrefixSearch:
    """The search of one text as far as `outcome` leads it.

    Args:
        grid: lengths as `checked_grid` gives them.
        outcome: whether the fit of a length succeeds, or None if that is not known yet.
    """
    search = PrefixSearch(grid, strategy)
    while not search.wanted and (probes := search.probes):
        for n_tokens in probes:
            succeeded = outcome(n_tokens)
            if succeeded is None:
                search.wanted.append(n_tokens)
            else:
                search.tried[n_tokens] = succeeded
    return search
