"""Two tables about all experiments: what was done and why, and how well the intervals cover."""

from __future__ import annotations

import pandas as pd

from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.paths import ROOT

COVERAGE = ROOT / "benchmarks" / "coverage.csv"


def protocol_table() -> pd.DataFrame:
    """One row for each experiment: what the paper did, what we do, why it differs."""
    protocols = {name: experiment(name).PROTOCOL for name in EXPERIMENTS}
    rows = {
        name: {"the paper": protocol.paper, "here": protocol.ours, "why": protocol.why}
        for name, protocol in protocols.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("experiment")


def coverage_table() -> pd.DataFrame:
    """Simulated coverage of the 95 % intervals: rows methods and data, columns units n.

    `benchmarks/coverage.py` writes the simulations; a dash marks an n too small for a verdict,
    or one that was not simulated.
    """
    simulated = pd.read_csv(COVERAGE)
    wide = simulated.pivot(index=["method", "data"], columns="n", values="coverage")
    return wide.map(lambda share: "–" if pd.isna(share) else f"{share:.3f}")
