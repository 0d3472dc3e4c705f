"""Options and arguments that several commands take, and what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reproducer.errors import ReproducerError, require_name, shown

if TYPE_CHECKING:
    from reproducer.experiments.profiles import ExperimentParams

Profile = Annotated[str, typer.Option("--profile", help="A name in profiles/, or a YAML file.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[EXPERIMENT]...")]
Overrides = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE, overrides the profile.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def params_of(
    experiments: list[str] | None, profile: str, overrides: dict[str, str] | None = None
) -> dict[str, ExperimentParams]:
    """The parameters of experiments (all, if none is named) by name; raises on unknown names."""
    from reproducer.experiments import EXPERIMENTS
    from reproducer.experiments.profiles import load_params

    names = experiments or EXPERIMENTS
    for name in names:
        require_name("experiment", name, EXPERIMENTS)
    return {name: load_params(name, profile, **overrides or {}) for name in names}


def pairs_of(pairs: list[str], option: str) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ReproducerError(f"expected NAME=VALUE after {option}, got {shown(pair)}")
        values[name] = value
    return values
