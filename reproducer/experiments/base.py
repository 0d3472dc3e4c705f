"""What the experiment modules share: a fit as most of them ask for it, frames, notes for pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import AfterValidator, BaseModel, Field

from reproducer.errors import require_name
from reproducer.experiments.profiles import ExperimentParams, load_params
from reproducer.models.card import model_card
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices
from reproducer.results.solutions import accuracies
from reproducer.results.specs import Result, Spec
from reproducer.results.vectors import with_vectors
from reproducer.solver.arrangements import arrangement
from reproducer.solver.recipes import RECIPES, Recipe, recipe
from reproducer.texts.sources import PASSAGES, Text, load_texts
from reproducer.texts.teachers import TEACHERS

# What a run is on, not how much of it there is: pages name these in their own words.
SUBJECTS = {"profile", "model", "models", "source", "sources", "controls"}
# How fits start, by the `start` of their recipe.
STARTS = {"own": "random starts", "common": "one common start"}
NOTHING_STORED = "No result of this profile is stored."
PROVENANCE_COLUMNS = ("dtype", "device", "commit", "date")
FIT_COLUMNS = (
    *("key", "model", "arrangement", "share", "seed", "group_size", "recipe", "max_steps"),
    *("source", "text", "copy", "n_tokens", "accuracy", "loss_nats", "correct"),
    *("solved", "steps", "seconds", *PROVENANCE_COLUMNS),
)


def _common_start(name: str) -> str:
    if RECIPES[require_name("recipe", name, RECIPES)].start != "common":
        raise ValueError(f"expected a recipe with a common start, got {name!r}")
    return name


# Fields of `Params` whose unknown names are errors before any work.
ArrangementName = Annotated[str, AfterValidator(lambda name: arrangement(name).name)]
PassageSource = Annotated[
    str, AfterValidator(lambda name: require_name("source of passages", name, PASSAGES))
]
RecipeName = Annotated[str, AfterValidator(lambda name: require_name("recipe", name, RECIPES))]
TeacherName = Annotated[str, AfterValidator(lambda n: require_name("teacher", n, TEACHERS))]
# A recipe under which all fits start at one point.
CommonStart = Annotated[str, AfterValidator(_common_start)]


class Protocol(NamedTuple):
    """What a paper did, what we do, and why it differs; each in plain sentences."""

    paper: str
    ours: str
    why: str


class SolvedParams(ExperimentParams):
    """Fits that end once they are solved, as the second paper's do."""

    arrangement: ArrangementName | None = None
    max_steps: int = Field(2000, ge=1)
    stop_accuracy: float = Field(0.9, gt=0, le=1)


def fit(params: ExperimentParams, texts: Sequence[Text], **changes: Any) -> FitSpec:
    """A fit of `texts` as `params` say, in the model's own arrangement where they name none.

    `changes` replace or add fields of the spec.
    """
    stop_accuracy = getattr(params, "stop_accuracy", None)
    asked = {
        "model": params.model,
        "arrangement": getattr(params, "arrangement", None) or model_card(params.model).arrangement,
        "texts": tuple(texts),
        "seed": params.seed,
        "recipe": recipe(params.recipe, params.max_steps, stop_accuracy),
    }
    return FitSpec(**asked | changes)


def recipes_of(params: SolvedParams) -> list[Recipe]:
    """The recipe asked for, and those with a common start that are used beside it."""
    names = (params.recipe, *params.common_start)
    return [recipe(name, params.max_steps, params.stop_accuracy) for name in names]


def grid(params: ExperimentParams, arrangements: Sequence[str]) -> list[FitSpec]:
    """One fit for each of the lengths of `params`, each arrangement, and each text."""
    texts = texts_of(params, max(params.lengths))
    return [
        fit(params, [text.prefix(n_tokens)], arrangement=name)
        for n_tokens in params.lengths
        for name in arrangements
        for text in texts
    ]


def texts_of(params: ExperimentParams, n_tokens: int, n_texts: int | None = None) -> list[Text]:
    """The first texts of the source that have `n_tokens` tokens, cut to that length."""
    texts = load_texts(params.source, params.model, n_texts or params.n_texts, n_tokens)
    return [text.prefix(n_tokens) for text in texts]


def decoded(params: ExperimentParams, texts: Sequence[Text]) -> tuple[str, ...]:
    """What a sentence encoder reads of `texts`: the tokens that are fitted, and no more."""
    decode = model_card(params.model).tokenizer.decode
    return tuple(decode(text.tokens) for text in texts)


def fit_frame(results: Iterable[Result], params: ExperimentParams) -> pd.DataFrame:
    """One row for each sequence of each fit.

    Columns: `FIT_COLUMNS` and profile. `correct` has one bool a position; `solved`, `steps` and
    `seconds` are the whole fit's.
    """
    rows = [row for result in results for row in _fit_rows(result)]
    return pd.DataFrame(rows, columns=FIT_COLUMNS).assign(profile=params.profile)


def _fit_rows(result: Result) -> Iterable[dict]:
    spec, metrics, shares = result.spec, result.metrics, accuracies(result)
    texts = [(text, copy) for text in spec["texts"] for copy in range(spec["copies"])]
    for s, (text, copy) in enumerate(texts):
        yield {
            "key": result.key,
            **{name: spec[name] for name in ("model", "arrangement", "share", "seed")},
            "group_size": len(texts),
            "recipe": spec["recipe"]["name"],
            "max_steps": spec["recipe"]["max_steps"],
            "source": text["source"],
            "text": text["id"],
            "copy": copy,
            "n_tokens": len(text["tokens"]),
            "accuracy": shares[s],
            "loss_nats": metrics["loss_nats"][s],
            "correct": result.arrays["correct"][s].tolist(),
            "solved": metrics["solved"],
            "steps": metrics["steps"],
            "seconds": metrics["seconds"],
            **{name: result.provenance[name] for name in PROVENANCE_COLUMNS},
        }


def on_one_device(timings: Sequence[Result]) -> list[Result]:
    """The timings of the device and dtype that most have; those of others do not compare."""
    places = [(r.provenance["device"], r.provenance["dtype"]) for r in timings]
    most = max(dict.fromkeys(places), key=places.count, default=None)
    return [r for r, place in zip(timings, places, strict=True) if place == most]


def gaps(df: pd.DataFrame, one: str, other: str, value: str = "accuracy") -> pd.Series:
    """`value` under arrangement `one` minus `other`, by text: mean over the N where both are."""
    wide = df.pivot_table(index=["text", "n_tokens"], columns="arrangement", values=value)
    if not {one, other} <= set(wide.columns):
        return pd.Series(dtype=float)
    return (wide[one] - wide[other]).dropna().groupby("text").mean()


def vector_frame(results: Sequence[Result], params: ExperimentParams) -> pd.DataFrame:
    """`fit_frame` with vectors `e` and `m`, and what can be read from them.

    Fits that start at one point are compared by how far they moved from there (`start` "common");
    others, which each start at a point of their own, by where they ended ("own"). `warm_m`: whether
    `m` starts at a vector that was fitted before.
    """
    frames = []
    for common, some in groupby(results, lambda r: r.spec["recipe"].get("start") == "common"):
        part = list(some)
        frame = with_vectors(fit_frame(part, params), part, from_start=common)
        frames.append(frame.assign(start="common" if common else "own"))
    if not frames:
        return pd.DataFrame()
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(warm_m=[bool(RECIPES[name].warm_m) for name in frame["recipe"]])


def with_readings(readings: Iterable[Spec], known: Known) -> list[tuple[Result, Result]]:
    """Those of `readings` that are known, each after the result of the fit that it reads."""
    pairs = ((known.get(spec.fit), known.get(spec)) for spec in readings)
    return [(fitted, reading) for fitted, reading in pairs if fitted and reading]


def note(frame: pd.DataFrame, facts: str) -> str:
    """One line for a page: on what, under which profile, and `facts`, filled from the first row.

    Rows of several devices name all of them.
    """
    if frame.empty:
        return NOTHING_STORED
    line = "Computed with {model} on {device}, profile {profile}: " + facts
    return line.format(**frame.iloc[0].to_dict() | {"device": joined_devices(frame["device"])})


def where(frame: pd.DataFrame) -> str:
    """In which dtype, on which devices and under which profile a frame was computed."""
    dtypes = ", ".join(sorted(frame["dtype"].unique()))
    return f"{dtypes} on {joined_devices(frame['device'])}, profile {frame['profile'].iloc[0]}"


def scale_note(frame: pd.DataFrame) -> str:
    """One line for a page: which model, how many texts, steps, device; never more than was run."""
    if frame.empty:
        return NOTHING_STORED
    models, sources, recipes = (
        ", ".join(sorted(frame[column].unique())) for column in ("model", "source", "recipe")
    )
    return (
        f"Computed with {models} ({where(frame)}): {frame['text'].nunique()} texts from {sources}, "
        f"at most {frame['n_tokens'].max()} tokens and {frame['max_steps'].max()} steps of the "
        f"recipe {recipes}."
    )


def cut_note(params: ExperimentParams) -> str:
    """One line for a page: in what a run differs from the papers' protocol."""
    cuts = _differences(params, load_params(params.experiment, "paper"))
    return f"Against the papers' protocol: {'; '.join(cuts)}." if cuts else "The papers' protocol."


def _differences(ours: BaseModel, theirs: BaseModel, prefix: str = "") -> list[str]:
    cuts = []
    for name in type(ours).model_fields.keys() - SUBJECTS - set(getattr(ours, "UNUSED", ())):
        a, b = getattr(ours, name), getattr(theirs, name)
        if isinstance(a, BaseModel):
            cuts += _differences(a, b, f"{name}.")
        elif a != b:
            cuts.append(f"{prefix}{name} {_short(a)} instead of {_short(b)}")
    return sorted(cuts)


def _short(value: object) -> str:
    if not isinstance(value, tuple):
        return "the default" if value is None else str(value)
    shown = value if len(value) <= 4 else (*value[:2], "…", value[-1])
    return ", ".join(map(str, shown))


def tested(model: str) -> bool:
    """Whether a verdict may be given on this model: not on the random weights of `tiny`."""
    return model != "tiny"
