"""What was computed: fits, steps, seconds, share solved and speed of each experiment's results."""

from __future__ import annotations

from functools import cache

import pandas as pd

from reproducer.experiments import EXPERIMENTS
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import wanted
from reproducer.models.card import model_card
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices
from reproducer.results.specs import Result
from reproducer.solver.arrangements import arrangement


def effort(profile: str) -> pd.DataFrame:
    """One row for each experiment with stored fits under `profile`; nothing is computed.

    Columns: fits, texts (sequences over all fits), steps (mean over fits), solved (share),
    minutes (wall time over all fits; a fit that several experiments use counts for each), GFLOP/s
    (matrix products of all fits over that time), device.
    """
    known = Known()
    rows = {}
    for name in EXPERIMENTS:
        specs = wanted(load_params(name, profile), known)
        fits = known.all([spec for spec in specs if spec.kind == "fit"], arrays=False)
        if fits:
            rows[name] = _effort(fits)
    return pd.DataFrame(rows).T.rename_axis("experiment").reset_index()


def _effort(fits: list[Result]) -> dict[str, object]:
    seconds = sum(r.metrics["seconds"] for r in fits)
    return {
        "fits": len(fits),
        "texts": sum(map(_n_sequences, fits)),
        "steps": round(sum(r.metrics["steps"] for r in fits) / len(fits)),
        "solved": f"{sum(r.metrics['solved'] for r in fits) / len(fits):.0%}",
        "minutes": round(seconds / 60, 1),
        "GFLOP/s": round(sum(map(_flop, fits)) / seconds / 1e9),
        "device": joined_devices(r.provenance["device"] for r in fits),
    }


def _n_sequences(fit: Result) -> int:
    return len(fit.spec["texts"]) * fit.spec["copies"]


def _flop(fit: Result) -> float:
    n_inputs = arrangement(fit.spec["arrangement"]).n_inputs(len(fit.spec["texts"][0]["tokens"]))
    per_step = _flops_per_input(fit.spec["model"]) * n_inputs * _n_sequences(fit)
    return per_step * fit.metrics["steps"]


@cache
def _flops_per_input(model: str) -> float:
    # Imported late: PyTorch takes seconds.
    from reproducer.models.checkpoints import weightless_model
    from reproducer.models.peak import matmul_flops_per_input

    return matmul_flops_per_input(weightless_model(model_card(model)))
