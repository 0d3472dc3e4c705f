"""What was computed: fits, steps, seconds, share solved and speed of each experiment's results."""

from __future__ import annotations

import pandas as pd

from reproducer.models.peak import matmul_flops_per_input
from reproducer.results.provenance import joined_devices
from reproducer.results.run import cached_lm, stored
from reproducer.results.store import Result
from reproducer.solver.arrangements import arrangement


def effort(profile: str) -> pd.DataFrame:
    """One row for each experiment with stored fits under `profile`; nothing is computed.

    Columns: fits, texts (sequences over all fits), steps (mean over fits), solved (share),
    minutes (wall time over all fits; a fit that several experiments use counts for each), GFLOP/s
    (matrix products of all fits over that time), device.
    """
    # Imported late: experiments import what a page may import beside this.
    from reproducer.experiments import EXPERIMENTS, experiment
    from reproducer.experiments.profiles import load_params

    rows = {}
    for name in EXPERIMENTS:
        results = stored(experiment(name).specs(load_params(name, profile)))
        if fits := [r for r in results if r.spec["kind"] == "fit"]:
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
    per_step = matmul_flops_per_input(cached_lm(fit.spec["model"])) * n_inputs * _n_sequences(fit)
    return per_step * fit.metrics["steps"]
