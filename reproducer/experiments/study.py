"""A study: an experiment's specs, computed in rounds, and the frame of what they gave."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError

from reproducer.errors import ReproducerError
from reproducer.experiments.check import check
from reproducer.experiments.profiles import ExperimentParams, told
from reproducer.results.known import Known, Nothing
from reproducer.results.shards import Shard, owners
from reproducer.results.specs import Spec, with_needs

if TYPE_CHECKING:
    from reproducer.results.progress import Progress


def study(
    params: ExperimentParams,
    compute: bool = True,
    known: Known | None = None,
    progress: bool | Progress = True,
) -> pd.DataFrame:
    """The frame of the experiment that `params` belong to; its module's `rows` says the columns.

    Computes what is missing, unless `compute` is False: then the frame has what is known already,
    and is empty where that is nothing. `progress`: as for `reproducer.results.run.compute`.

    Raises:
        ReproducerError: parameters that cannot be met, before anything is computed.
    """
    check(params)
    known = known or Known()
    if compute:
        run(params, known, progress)
    frame = module_of(params).rows(params, known)
    if compute and any(spec not in known for spec in wanted(params, known)):
        # A damaged result is noticed when it is read; from then on it is missing.
        run(params, known, progress)
        frame = module_of(params).rows(params, known)
    return frame


def run(
    params: ExperimentParams,
    known: Known,
    progress: bool | Progress = True,
    shard: Shard | None = None,
) -> None:
    """Compute all specs of an experiment, round after round, into the store of `known`.

    With a `shard`: those that belong to it, as far as they need no missing results of others.
    """
    while specs := missing(params, known, shard):
        # Imported late: what only reads results does without PyTorch.
        from reproducer.results.run import compute

        compute(specs, known, progress=progress)


def missing(params: ExperimentParams, known: Known, shard: Shard | None = None) -> list[Spec]:
    """What an experiment asks for and is not known; of a shard, what it can compute now."""
    asked = wanted(params, known)
    left = [spec for spec in asked if spec not in known]
    if shard is None or not left:
        return left
    owner = owners(wanted(params, Nothing()), asked, shard.total)
    ready: dict[str, Spec] = {}
    for spec in with_needs(left, known):
        can = all(needed.key in ready or needed in known for needed in spec.needs)
        if owner[spec.key] == shard.number and spec not in known and can:
            ready[spec.key] = spec
    return list(ready.values())


def wanted(params: ExperimentParams, known: Known) -> list[Spec]:
    """The specs that an experiment asks for, as far as the known results tell: each once.

    Raises:
        ReproducerError: as `study`.
    """
    check(params)
    try:
        specs = module_of(params).specs(params, known)
    except ValidationError as error:
        raise ReproducerError(told(error, params.experiment)) from error
    return list({spec.key: spec for spec in specs}.values())


def module_of(params: ExperimentParams) -> ModuleType:
    """The module of the experiment that `params` belong to."""
    return sys.modules[type(params).__module__]
