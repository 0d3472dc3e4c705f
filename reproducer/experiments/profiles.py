"""Profiles: at which scale the experiments run. They hold overrides only.

Every experiment has a pydantic `Params` with defaults; a profile says what it changes of them, for
all experiments (`common`) or for one. It may change another profile, its `base`, instead. A
profile is named (`quick` is `profiles/quick.yaml`) or is any other YAML file, given by its path.
Unknown keys are errors.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from reproducer.errors import ReproducerError, did_you_mean, require_name, shown
from reproducer.experiments import EXPERIMENTS, SHIPPED
from reproducer.experiments import experiment as load_experiment
from reproducer.experiments.values import typed
from reproducer.paths import ROOT
from reproducer.solver.recipes import RECIPES
from reproducer.texts.sources import SOURCES

# Those that come with the repository: no other file may take their names.
PROFILES = ("smoke", "quick", "smollm2", "evidence", "smollm2-gpu", "paper")
ENDINGS = (".yaml", ".yml")


SourceName = Annotated[str, AfterValidator(lambda name: require_name("source", name, SOURCES))]


class ExperimentParams(BaseModel):
    """What all experiments share; each module's `Params` adds its own fields.

    A value may be text (`reproducer.experiments.values`); apart from that nothing is converted:
    `true` is no number, and no number is infinite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # Fields that an experiment does not read, and lists that may hold a value twice.
    UNUSED: ClassVar[tuple[str, ...]] = ()
    REPEATING: ClassVar[tuple[str, ...]] = ()

    profile: str = SHIPPED
    model: str = "smollm2-135m"
    source: SourceName = "unseen"
    n_texts: int = Field(4, ge=1)
    seed: int = Field(0, ge=0)
    recipe: str = "paper"
    max_steps: int = Field(5000, ge=1)

    @field_validator("recipe")
    @classmethod
    def _recipe_exists(cls, name: str) -> str:
        return require_name("recipe", name, RECIPES)

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, values: dict[str, Any]) -> dict[str, Any]:
        fields, given = cls.model_fields, dict(values)
        for name in given.keys() & fields.keys():
            try:
                given[name] = typed(name, fields[name].annotation, given[name])
            except ReproducerError as error:
                raise ReproducerError(f"parameter {name}: {error}") from error
        return given

    @model_validator(mode="after")
    def _nothing_twice(self) -> ExperimentParams:
        for name in type(self).model_fields.keys() - set(self.REPEATING):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(set(value)) < len(value):
                twice = next(item for item in value if value.count(item) > 1)
                raise ReproducerError(f"parameter {name}: expected each once, got {twice!r} twice")
        return self

    @property
    def experiment(self) -> str:
        """The name of the experiment that these parameters belong to."""
        return type(self).__module__.rpartition(".")[2]


def profile_file(profile: str) -> Path:
    """The file of a profile: one in ``profiles/`` by its name, or any by its path.

    A relative path is looked up in the working directory, then in the repository.

    Raises:
        ReproducerError: an unknown name, no such file, or a file elsewhere that has the name of a
            profile that comes with the repository.
    """
    folder = ROOT / "profiles"
    if not isinstance(profile, str) or not profile.endswith(ENDINGS):
        names = (path.stem for path in folder.glob("*.yaml"))
        return folder / f"{require_name('profile', profile, names)}.yaml"
    try:
        places = [place / Path(profile).expanduser() for place in (Path.cwd(), ROOT)]
        path = next((place.resolve() for place in places if place.is_file()), None)
    except (OSError, RuntimeError, ValueError):  # no name that a file can have, no such home
        path = None
    if path is None:
        raise ReproducerError(f"profile {shown(profile)}: expected a file, got none there")
    if path.stem in PROFILES and path.parent != folder:
        raise ReproducerError(
            f"profile {profile!r}: expected a name that no profile of the repository has, "
            f"got {path.stem!r}"
        )
    return path


def profile_name(profile: str) -> str:
    """The name of a profile in frames and verdicts: its file's, without the ending."""
    return profile_file(profile).stem


def profile_overrides(profile: str) -> dict[str, dict[str, Any]]:
    """What a profile and its bases say: experiment (or `common`) → field → value.

    Under each name a profile's own fields win over those of its base; a name that it sets to null
    takes nothing from the base.

    Raises:
        ReproducerError: no such profile, a file that is not YAML of that form, or a base
            that leads back.
    """
    merged: dict[str, dict[str, Any]] = {}
    for content in reversed(_with_bases(profile)):
        for name, fields in content.items():
            merged[name] = {} if fields is None else merged.get(name, {}) | fields
    return merged


def _with_bases(profile: str) -> list[dict[str, dict[str, Any] | None]]:
    """What is written in the file of a profile, in that of its base, and so on."""
    contents: dict[Path, dict] = {}
    while profile is not None:
        path = profile_file(profile)
        if path in contents:
            circle = " → ".join(file.name for file in (*contents, path))
            raise ReproducerError(f"{path}: expected a base that does not lead back, got {circle}")
        content = _read(path, path.stat().st_mtime_ns)
        profile = content.get("base")
        contents[path] = {name: fields for name, fields in content.items() if name != "base"}
    return list(contents.values())


@lru_cache
def _read(path: Path, _written: int) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    # Beside its own error the library raises whatever its parts do, and runs out of stack.
    except Exception as error:
        raise ReproducerError(f"expected a profile in YAML in {path}, got: {error}") from error
    if not isinstance(content, dict):
        raise ReproducerError(f"{path}: expected experiments with fields, got {content!r:.40}")
    for name, fields in content.items():
        require_name(f"experiment in {path}", name, ["base", "common", *EXPERIMENTS])
        if name != "base" and not isinstance(fields, dict | None):
            raise ReproducerError(f"{path}: expected fields under {name!r}, got {fields!r:.40}")
    return content


def load_params(experiment: str, profile: str, /, **overrides: Any) -> ExperimentParams:
    """The parameters of `experiment` under `profile`; overrides that are not None win.

    `profile` is the name of a file in ``profiles/`` or the path of any other (`profile_file`). An
    override may be text, as a command line hands it over (`reproducer.experiments.values`).

    Raises:
        ReproducerError: unknown experiment, profile or parameter, or an impossible value.
    """
    params_class = load_experiment(experiment).Params
    chosen = profile_overrides(profile)
    place = profile if profile.endswith(ENDINGS) else f"profiles/{profile}.yaml"
    common = {k: v for k, v in chosen.get("common", {}).items() if k in params_class.model_fields}
    for field in chosen.get("common", {}).keys() - common.keys():
        require_name(f"parameter for all experiments in {place}", field, _all_fields())
    given = {k: v for k, v in overrides.items() if v is not None}
    fields = common | chosen.get(experiment, {}) | given
    for field in fields:
        known = params_class.model_fields.keys() - {"profile"}
        if field not in known:
            hint = did_you_mean(str(field), known)
            raise ReproducerError(f"unknown parameter {shown(field)} of {experiment!r}; {hint}")
    try:
        return params_class(**fields, profile=profile_name(profile))
    except ValidationError as error:
        raise ReproducerError(told(error, experiment)) from error


def told(error: ValidationError, experiment: str) -> str:
    """What pydantic found first in an experiment's fields: which, what is wrong, what came."""
    first = error.errors()[0]
    fault = str(first.get("ctx", {}).get("error") or first["msg"])
    if first["loc"] and " got " not in fault and not fault.startswith("unknown "):
        fault += f", got {shown(first['input'])}"
    where = ".".join(map(str, first["loc"]))
    return f"parameter {where} of {experiment!r}: {fault}" if where else f"{experiment!r}: {fault}"


def _all_fields() -> set[str]:
    """The fields that one experiment or another has."""
    return {field for name in EXPERIMENTS for field in load_experiment(name).Params.model_fields}
