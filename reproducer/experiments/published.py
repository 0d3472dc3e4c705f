"""The papers' own numbers, as tidy tables shipped in `data/published/`."""

from __future__ import annotations

import pandas as pd

from reproducer.errors import require_name
from reproducer.paths import data_dir

TABLES = {
    "arrangements": "table1_arrangements.csv",
    "sharing": "table2_sharing.csv",
    "capacity": "table3_capacity.csv",
    "training_seconds": "table4_training_seconds.csv",
}


def published(table: str) -> pd.DataFrame:
    """One of the tables of Mezentsev & Oseledets: a name of `TABLES`."""
    name = TABLES[require_name("published table", table, TABLES)]
    return pd.read_csv(data_dir() / "published" / name)
