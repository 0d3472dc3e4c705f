"""Shards: the work of an experiment divided by cost among machines that do not talk to each other.

Every machine computes the same division from what is asked for, whatever its own store holds. What
is asked for first is known without any result. Later rounds follow from results, and are divided so
that a machine can go on alone where it needs only its own: what is computed from a shard's results,
and other lengths of a text that it fits, belong to the shard too. So the stages of a growing
solution and the fits of a search stay together. The rest of a round needs results of several
shards; it is seen, and divided in the same way by all, once these are merged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.results.specs import SolveSpec, Spec, with_needs


class Shard(NamedTuple):
    """One of `total` parts of the work; `number` counts from 1."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/4` as a shard; raises `ReproducerError` for anything that is none."""
        if match := re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text):
            shard = cls(*map(int, match.groups()))
            if 1 <= shard.number <= shard.total:
                return shard
        raise ReproducerError(f"expected a shard i/k with i from 1 to k, such as 2/4, got {text!r}")


def cost(spec: Spec) -> int:
    """Input positions × steps × sequences × weights that each position meets.

    A reading counts as one step of the fits that it reads.
    """
    if isinstance(spec, SolveSpec):
        return spec.size.positions * spec.recipe.max_steps * _n_weights(spec.model)
    fits = [needed for needed in spec.needs if isinstance(needed, SolveSpec)]
    n_weights = _n_weights(spec.model) if spec.LOADS_MODEL else 1
    return max(1, sum(fit.size.positions for fit in fits)) * n_weights


def owners(first: Sequence[Spec], asked: Sequence[Spec], total: int) -> dict[str, int]:
    """By key: the number of the shard, of `total`, that each spec and all it needs belong to.

    `first` is what the experiment asks for when nothing is known; `asked`, all that it asks for
    now.
    """
    division = _Division(total)
    division.add(first)
    division.add(asked)
    return division.owner


class _Division:
    """Who owns which key and which line (`SolveSpec.line`), and how much each shard has to do."""

    def __init__(self, total: int) -> None:
        self.load = [0] * total
        self.owner: dict[str, int] = {}
        self.of_line: dict[tuple, int] = {}

    def add(self, specs: Sequence[Spec]) -> None:
        """Give what is new to its owner, the rest by cost: the dearest first, to the least busy."""
        self.load = [0] * len(self.load)  # what is asked for later is divided evenly by itself
        new = [spec for spec in with_needs(specs) if spec.key not in self.owner]
        # Not always the first shard gets the odd unit: experiments have many.
        turn = int(min((spec.key for spec in new), default="0")[:8], 16)
        free = []
        for unit in _units(new):
            owners = self._owners_of(unit)
            if len(owners) == 1:
                self._give(unit, owners.pop())
            else:
                free.append((-sum(map(cost, unit)), min(spec.key for spec in unit), unit))
        for *_, unit in sorted(free):
            order = [(turn + i) % len(self.load) for i in range(len(self.load))]
            self._give(unit, 1 + min(order, key=self.load.__getitem__))

    def _owners_of(self, unit: Iterable[Spec]) -> set[int]:
        """The shards that own what a unit is computed from, or a line of it."""
        needed = {self.owner.get(needed.key) for spec in unit for needed in spec.needs}
        lines = {self.of_line.get(spec.line) for spec in unit if isinstance(spec, SolveSpec)}
        return (needed | lines) - {None}

    def _give(self, unit: Iterable[Spec], number: int) -> None:
        for spec in unit:
            self.owner[spec.key] = number
            self.load[number - 1] += cost(spec)
            if isinstance(spec, SolveSpec):
                self.of_line.setdefault(spec.line, number)


def _units(specs: Sequence[Spec]) -> list[list[Spec]]:
    """What belongs together: specs with what they need, and those of one line."""
    from scipy.cluster.hierarchy import DisjointSet

    sets = DisjointSet(spec.key for spec in specs)
    for spec in specs:
        joined = [needed.key for needed in spec.needs if needed.key in sets]
        if isinstance(spec, SolveSpec):
            sets.add(spec.line)
            joined.append(spec.line)
        for other in joined:
            sets.merge(spec.key, other)
    units: dict[object, list[Spec]] = {}
    for spec in specs:
        units.setdefault(sets[spec.key], []).append(spec)
    return list(units.values())


@cache
def _n_weights(model: str) -> int:
    """About how many weights of a model an input position meets; 1 where its shape is not told."""
    config = model_card(model).config
    width, layers = config.get("hidden_size", 1), config.get("num_hidden_layers", 0)
    inner = config.get("intermediate_size", 4 * width)
    return width * (layers * (4 * width + 3 * inner) + config.get("vocab_size", 1))
