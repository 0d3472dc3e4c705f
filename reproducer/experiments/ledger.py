"""The ledger: the verdicts of all experiments that the known results of a profile allow.

Working them out takes seconds to minutes of resampling, so what was worked out is kept with the
digest of everything that it follows from: the parameters, the results, and the code that reads
them. The repository ships it for its own results; `claims` prints it without working anything out.
"""

from __future__ import annotations

import hashlib
import json
import logging
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from reproducer.errors import ReproducerError
from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.experiments.claims import Verdict, with_holm
from reproducer.experiments.profiles import ExperimentParams, load_params, profile_name
from reproducer.experiments.study import study, wanted
from reproducer.files import replace_text
from reproducer.paths import ROOT, cache_dir, shipped_dir
from reproducer.results.integrity import finite_or_none
from reproducer.results.known import Known
from reproducer.results.specs import digest

log = logging.getLogger(__name__)
CODE = ("errors.py", "analysis", "experiments")
VERDICTS = TypeAdapter(list[Verdict])


def ledger(profile: str, known: Known | None = None, fresh: bool = False) -> list[Verdict]:
    """All verdicts that the known results of `profile` allow; computes no fit.

    An experiment whose results are damaged costs one line, not the ledger. With `fresh`, nothing
    that was worked out before is used.
    """
    known = known or Known()
    verdicts: list[Verdict] = []
    for name in EXPERIMENTS:
        try:
            verdicts += verdicts_of(load_params(name, profile), known, fresh)
        except ReproducerError as error:
            log.warning("%s: no verdict: %s", name, error)
    return with_holm(verdicts)


def verdicts_of(
    params: ExperimentParams, known: Known | None = None, fresh: bool = False
) -> list[Verdict]:
    """The verdicts of the experiment that `params` belong to, from what is known."""
    known = known or Known()
    inputs = inputs_digest(params, known)
    kept = None if fresh else _kept(params, inputs)
    if kept is not None:
        return kept
    verdicts = experiment(params.experiment).claims(study(params, compute=False, known=known))
    _keep(params, _entry(inputs, verdicts))
    return verdicts


def inputs_digest(params: ExperimentParams, known: Known) -> str:
    """SHA-256 of all that an experiment's verdicts follow from."""
    results = known.digests(wanted(params, known))
    facts = {"params": params.model_dump(mode="json"), "results": results, "code": code_digest()}
    return digest(facts)


@lru_cache
def code_digest() -> str:
    """SHA-256 of the source that turns results into verdicts."""
    total = hashlib.sha256()
    for part in CODE:
        path = ROOT / "reproducer" / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()


def ship(profile: str, folder: Path | None = None) -> Path:
    """Write the ledger of a profile's shipped results, worked out afresh, beside them."""
    known = Known()
    path = (folder or shipped_dir()) / f"ledger-{profile_name(profile)}.json"
    entries = {}
    for name in EXPERIMENTS:
        params = load_params(name, profile)
        entries[name] = _entry(inputs_digest(params, known), verdicts_of(params, known, fresh=True))
    replace_text(path, json.dumps(entries, indent=1, allow_nan=False) + "\n")
    return path


def _kept(params: ExperimentParams, inputs: str) -> list[Verdict] | None:
    """What was worked out before from the very same inputs, shipped or cached; else None."""
    shipped = _read(shipped_dir() / f"ledger-{params.profile}.json").get(params.experiment, {})
    for entry in (shipped, _read(_cache_file(params))):
        if entry.get("inputs") == inputs:
            try:
                return VERDICTS.validate_python(entry["verdicts"])
            except (KeyError, ValidationError):
                continue
    return None


def _read(path: Path) -> dict:
    """What a file holds; nothing where it cannot be read, as it is then worked out again."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _entry(inputs: str, verdicts: list[Verdict]) -> dict:
    told = finite_or_none(VERDICTS.dump_python(verdicts, mode="json"))
    return {"inputs": inputs, "verdicts": told}


def _keep(params: ExperimentParams, entry: dict) -> None:
    path = _cache_file(params)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(entry, allow_nan=False))
    except OSError as error:
        log.debug("the verdicts were not kept: %s", error)


def _cache_file(params: ExperimentParams) -> Path:
    return cache_dir() / "ledger" / f"{params.profile}-{params.experiment}.json"
