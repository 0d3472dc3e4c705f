"""Results of a larger profile, to stand on a page beside the run that the page makes."""

from __future__ import annotations

import pandas as pd

from reproducer.experiments.base import tested
from reproducer.experiments.profiles import SHIPPED, ExperimentParams, load_params
from reproducer.experiments.study import study


def larger(name: str, shown: ExperimentParams, profile: str = SHIPPED) -> pd.DataFrame:
    """The stored results of experiment `name` under `profile`; nothing is computed.

    Empty where none is stored, where the page shows that profile anyway, and for `tiny`, which
    nothing stands beside.
    """
    if shown.profile == profile or not tested(shown.model):
        return pd.DataFrame()
    return study(load_params(name, profile), compute=False)
