"""What is known: shipped results first, then the user's own store. Nothing here computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reproducer.results.packs import Packs, packs
from reproducer.results.specs import DTYPES, Result, Spec
from reproducer.results.store import Store


class Known:
    """Results by spec. A spec of dtype "auto" asks for a result of either dtype.

    It stands for the dtype of the one that is known, bfloat16 if both are, and where none is, for
    the dtype in which what it needs is known. What is computed goes to `store`; `base` is another
    store, which is only read.
    """

    def __init__(
        self,
        store: Store | None = None,
        shipped: Packs | None = None,
        base: Store | None = None,
    ) -> None:
        self.store = Store() if store is None else store
        self.shipped = packs() if shipped is None else shipped
        self.sources = [self.shipped, *([base] if base else []), self.store]

    def __contains__(self, spec: Spec) -> bool:
        return self._holds(self.settled(spec).key)

    def get(self, spec: Spec, arrays: bool = True) -> Result | None:
        """The result of `spec`, or None; without `arrays` only its facts are read."""
        key = self.settled(spec).key
        for source in self.sources:
            result = source.get(key, arrays)
            if result is not None:
                return result
        return None

    def all(self, specs: Iterable[Spec], arrays: bool = True) -> list[Result]:
        """The results of those of `specs` that are known, in their order."""
        results = (self.get(spec, arrays) for spec in specs)
        return [result for result in results if result is not None]

    def facts(self) -> Iterator[Result]:
        """All that is known, without arrays; what several sources hold comes once."""
        given: set[str] = set()
        for source in self.sources:
            for key in source.keys():
                result = None if key in given else source.get(key, arrays=False)
                if result is not None:
                    given.add(key)
                    yield result

    def digests(self, specs: Iterable[Spec]) -> list[str]:
        """The keys of those of `specs` that are known, with the digest of what is held."""
        found = []
        for key in (self.settled(spec).key for spec in specs):
            digests = (source.digest(key) for source in self.sources)
            if digest := next(filter(None, digests), None):
                found.append(f"{key} {digest}")
        return sorted(found)

    def settled(self, spec: Spec, fallback: str = "auto") -> Spec:
        """`spec` with every dtype "auto" in it, innermost first, replaced by what it stands for.

        Where nothing is known that would decide it, the `fallback` is taken.
        """
        return spec.settled(lambda inner: self._choose(inner) or fallback)

    def _choose(self, spec: Spec) -> str | None:
        for dtype in DTYPES:
            if self._holds(spec.model_copy(update={"dtype": dtype}).key):
                return dtype
        needed = [self.settled(needed).dtype for needed in spec.needs if needed.LOADS_MODEL]
        return next((dtype for dtype in DTYPES if dtype in needed), None)

    def _holds(self, key: str) -> bool:
        return any(key in source for source in self.sources)


class Nothing(Known):
    """No result at all: under it, an experiment asks for its first round."""

    def __init__(self) -> None:
        self.sources = []
