"""Profiles: at which scale the experiments run. They hold overrides only.

Every experiment has a pydantic `Params` with defaults; `profiles/<name>.yaml` says what a
profile changes, for all experiments (`common`) or for one. Unknown keys are errors.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reproducer.errors import ReproducerError, did_you_mean, require_name
from reproducer.paths import ROOT
from reproducer.solver.recipes import RECIPES

# Whose results come with the repository, in data/results/.
SHIPPED = "smollm2"
PROFILES = ("smoke", "quick", "smollm2", "evidence", "smollm2-gpu", "paper")


class ExperimentParams(BaseModel):
    """What all experiments share; each module's `Params` adds its own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Fields that an experiment does not read.
    UNUSED: ClassVar[tuple[str, ...]] = ()

    profile: str = SHIPPED
    model: str = "smollm2-135m"
    source: str = "unseen"
    n_texts: int = Field(4, ge=1)
    seed: int = Field(0, ge=0)
    recipe: str = "paper"
    max_steps: int = Field(5000, ge=1)

    @field_validator("recipe")
    @classmethod
    def _recipe_exists(cls, name: str) -> str:
        return require_name("recipe", name, RECIPES)

    @property
    def experiment(self) -> str:
        """The name of the experiment that these parameters belong to."""
        return type(self).__module__.rpartition(".")[2]


@lru_cache
def profile_overrides(profile: str) -> dict[str, dict[str, Any]]:
    """The file of a profile: experiment (or `common`) → field → value."""
    require_name("profile", profile, PROFILES)
    text = (ROOT / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
    return {name: fields or {} for name, fields in (yaml.safe_load(text) or {}).items()}


def load_params(experiment: str, profile: str, **overrides: Any) -> ExperimentParams:
    """The parameters of `experiment` under `profile`; overrides that are not None win.

    Raises:
        ReproducerError: unknown experiment, profile or parameter, or an impossible value.
    """
    from reproducer.experiments import EXPERIMENTS
    from reproducer.experiments import experiment as load_experiment

    require_name("experiment", experiment, EXPERIMENTS)
    params_class = load_experiment(experiment).Params
    chosen = profile_overrides(profile)
    for name in chosen:
        require_name(f"experiment in profiles/{profile}.yaml", name, ["common", *EXPERIMENTS])
    common = {k: v for k, v in chosen.get("common", {}).items() if k in params_class.model_fields}
    given = {k: v for k, v in overrides.items() if v is not None}
    fields = common | chosen.get(experiment, {}) | given | {"profile": profile}
    for field in fields:
        if field not in params_class.model_fields:
            hint = did_you_mean(field, params_class.model_fields)
            raise ReproducerError(f"unknown parameter {field!r} of {experiment!r}; {hint}")
    try:
        return params_class(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or experiment
        raise ReproducerError(
            f"parameter {where} of {experiment!r}: {first['msg']}, got {first['input']!r}"
        ) from error
