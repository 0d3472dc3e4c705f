"""One module for each table or figure of the papers, and for the questions of our own.

Every module has `Params`, `specs(params, known)`, `rows(params, known)`, `table(df)`,
`figure(df)` and `claims(df)`; `EXPERIMENTS` lists them in the order of the book.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from reproducer.errors import require_name

# The profile whose results come with the repository, in data/results/.
SHIPPED = "smollm2"
EXPERIMENTS: tuple[str, ...] = (
    "arrangements",
    "second_position",
    "first_position",
    "sharing",
    "capacity",
    "information",
    "throughput",
    "training_time",
    "distances",
    "same_context",
    "connectivity",
    "readout",
    "attention",
    "noise",
    "semantics",
    "syntax",
    "anchoring",
    "distillation",
    "recipes",
    "precision",
    "encoder",
    "encoded_space",
    "architecture",
)


def experiment(name: str) -> ModuleType:
    """The module of an experiment; an unknown name raises with the nearest valid one."""
    require_name("experiment", name, EXPERIMENTS)
    return importlib.import_module(f"reproducer.experiments.{name}")
