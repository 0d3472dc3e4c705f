"""Which specs of which experiment are known."""

from __future__ import annotations

import logging
from typing import Any

from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.profiles import ExperimentParams, load_params
from reproducer.experiments.study import wanted
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec

log = logging.getLogger(__name__)


class Asked(Known):
    """Known results that note whether one was asked for and not there."""

    unanswered = False

    def get(self, spec: Spec, arrays: bool = True) -> Result | None:
        result = super().get(spec, arrays)
        self.unanswered |= result is None
        return result

    def __contains__(self, spec: Spec) -> bool:
        there = super().__contains__(spec)
        self.unanswered |= not there
        return there


def experiment_status(profile: str) -> list[dict[str, Any]]:
    """For each experiment: `experiment`, `profile`, `specs`, `stored`, `missing` (keys), `open`.

    `open` says that more specs will follow: which ones depends on results that are missing. An
    experiment that cannot be planned here, for want of a hub's model, or refuses what the profile
    gives to all, costs one line.

    Raises:
        ReproducerError: a profile that no experiment can take.
    """
    known = Asked()
    rows = []
    for name, params in _params_of_all(profile).items():
        known.unanswered = False
        try:
            specs = wanted(params, known)
        except ReproducerError as error:
            log.warning("%s: not planned: %s", name, error)
            continue
        follows = known.unanswered
        missing = sorted(spec.key for spec in specs if spec not in known)
        rows.append(
            {
                "experiment": name,
                "profile": params.profile,
                "specs": len(specs),
                "stored": len(specs) - len(missing),
                "missing": missing,
                "open": follows,
            }
        )
    return rows


def _params_of_all(profile: str) -> dict[str, ExperimentParams]:
    """The parameters of all experiments that accept the profile; each other one costs a line."""
    accepted, refused = {}, {}
    for name in EXPERIMENTS:
        try:
            accepted[name] = load_params(name, profile)
        except ReproducerError as error:
            refused[name] = error
    if not accepted:
        raise next(iter(refused.values()))
    for name, error in refused.items():
        log.warning("%s: not planned: %s", name, error)
    return accepted
