"""What is known: shipped results first, then the user's own store. Nothing here computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reproducer.results.packs import Packs, packs
from reproducer.results.specs import DTYPES, Result, Spec
from reproducer.results.store import Store


class Known:
    """Results by spec. A spec of dtype "auto" asks for a result of either dtype.

    It stands for the dtype of the one that is known, bfloat16 if both are, and where none is, for
    the dtype in which what it needs is known.
    """

    def __init__(self, store: Store | None = None, shipped: Packs | None = None) -> None:
        self.store = Store() if store is None else store
        self.shipped = packs() if shipped is None else shipped

    def __contains__(self, spec: Spec) -> bool:
        return self._holds(self.settled(spec).key)

    def get(self, spec: Spec, arrays: bool = True) -> Result | None:
        """The result of `spec`, or None; without `arrays` only its facts are read."""
        key = self.settled(spec).key
        for source in (self.shipped, self.store):
            result = source.get(key, arrays)
            if result is not None:
                return result
        return None

    def all(self, specs: Iterable[Spec], arrays: bool = True) -> list[Result]:
        """The results of those of `specs` that are known, in their order."""
        results = (self.get(spec, arrays) for spec in specs)
        return [result for result in results if result is not None]

    def facts(self) -> Iterator[Result]:
        """All that is known, without arrays; what is shipped and stored comes once."""
        stored = (key for key in self.store.keys() if key not in self.shipped)
        for source, keys in ((self.shipped, self.shipped.keys()), (self.store, stored)):
            facts = (source.get(key, arrays=False) for key in keys)
            yield from (result for result in facts if result is not None)

    def digests(self, specs: Iterable[Spec]) -> list[str]:
        """The keys of those of `specs` that are known, with the digest of what is held."""
        keys = (self.settled(spec).key for spec in specs)
        digests = ((key, self.shipped.digest(key) or self.store.digest(key)) for key in keys)
        return sorted(f"{key} {digest}" for key, digest in digests if digest)

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
        return key in self.shipped or key in self.store
