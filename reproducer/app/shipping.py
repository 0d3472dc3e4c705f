"""What the command `pack` writes to `data/results/`: packs, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from reproducer.app.expected import write_expected
from reproducer.errors import ReproducerError
from reproducer.experiments import SHIPPED
from reproducer.experiments.ledger import ship as ship_ledger
from reproducer.experiments.profiles import profile_name
from reproducer.experiments.study import wanted
from reproducer.results.known import Known
from reproducer.results.packs import pack

if TYPE_CHECKING:
    from reproducer.experiments.profiles import ExperimentParams
    from reproducer.results.specs import Spec


def _with_light_needs(specs: Iterable[Spec]) -> list[Spec]:
    """`specs` and what they need, each once, without heavy results that nobody asked for."""

    def walk(specs: Iterable[Spec]) -> Iterator[Spec]:
        for spec in specs:
            yield from walk(needed for needed in spec.needs if not needed.HEAVY)
            yield spec

    return list({spec.key: spec for spec in walk(specs)}.values())


def ship(chosen: Mapping[str, ExperimentParams], profile: str, named: bool) -> Iterator[str]:
    """Pack the known results of experiments, then their ledger; yields a line for each file.

    With the shipped profile, also what is expected on other hardware, reconstructions and the
    playground. `named`: whether the experiments were asked for by name, so that one without any
    result is an error.
    """
    for name, params in chosen.items():
        known = Known()
        specs = [known.settled(spec) for spec in wanted(params, known)]
        results = known.all(_with_light_needs(specs))
        if results or named:
            # Packs of other profiles stand beside those of the shipped one.
            label = name if profile == SHIPPED else f"{name}-{profile_name(profile)}"
            yield f"{name}: {len(results)} results in {pack(results, label)}"
    try:
        ledger = ship_ledger(profile)
    except OSError as error:
        raise ReproducerError(f"cannot write the ledger: {error}") from error
    yield f"ledger: {ledger}"
    if profile == SHIPPED:
        # Imported late: they load PyTorch.
        from reproducer.app.playground import ship_playground
        from reproducer.app.reconstructions import ship_reconstructions

        yield f"expected on other hardware: {write_expected(ledger, profile)}"
        yield f"reconstructions: {ship_reconstructions(profile)}"
        yield f"playground: {ship_playground()}"
