"""What the experiment modules share: parameters, and results as tidy frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from pydantic import BaseModel

from reproducer.experiments.profiles import ExperimentParams, load_params
from reproducer.models.language_model import LanguageModel
from reproducer.results.provenance import joined_devices
from reproducer.results.run import compute, stored
from reproducer.results.specs import Spec
from reproducer.results.store import Result

# What a run is on, not how much of it there is: pages name these in their own words.
SUBJECTS = {"profile", "model", "models", "source", "sources", "controls"}
PROVENANCE_COLUMNS = ("dtype", "device", "commit", "date")


def results_of(specs: Sequence[Spec], compute_missing: bool) -> list[Result]:
    """Computed results of all specs, or those that the store already holds."""
    return compute(specs) if compute_missing else stored(specs)


def fit_frame(results: Iterable[Result], params: ExperimentParams) -> pd.DataFrame:
    """One row for each sequence of each fit.

    Columns: key, profile, model, arrangement, share, group_size, seed, recipe, max_steps,
    source, text, copy, n_tokens, accuracy, loss_nats, correct (one bool a position), solved,
    steps, seconds (of the whole fit), and where the result comes from.
    """
    rows = [row for result in results for row in _fit_rows(result)]
    return pd.DataFrame(rows).assign(profile=params.profile) if rows else pd.DataFrame()


def _fit_rows(result: Result) -> Iterable[dict]:
    spec, metrics = result.spec, result.metrics
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
            "accuracy": result.arrays["correct"][s].double().mean().item(),
            "loss_nats": metrics["loss_nats"][s],
            "correct": result.arrays["correct"][s].tolist(),
            "solved": metrics["solved"],
            "steps": metrics["steps"],
            "seconds": metrics["seconds"],
            **{name: result.provenance[name] for name in PROVENANCE_COLUMNS},
        }


def scale_note(frame: pd.DataFrame) -> str:
    """One line for a page: which model, how many texts, steps, device; never more than was run."""
    if frame.empty:
        return "No result of this profile is stored."
    models = ", ".join(sorted(frame["model"].unique()))
    return (
        f"Computed with {models} ({', '.join(sorted(frame['dtype'].unique()))} on "
        f"{joined_devices(frame['device'])}), profile {frame['profile'].iloc[0]}: "
        f"{frame['text'].nunique()} texts from {', '.join(sorted(frame['source'].unique()))}, "
        f"at most {frame['n_tokens'].max()} tokens and {frame['max_steps'].max()} steps of the "
        f"recipe {', '.join(sorted(frame['recipe'].unique()))}."
    )


def cut_note(params: ExperimentParams) -> str:
    """One line for a page: in what a run differs from the papers' protocol."""
    name = type(params).__module__.rsplit(".", 1)[-1]
    cuts = _differences(params, load_params(name, "paper"))
    return f"Against the papers' protocol: {'; '.join(cuts)}." if cuts else "The papers' protocol."


def _differences(ours: BaseModel, theirs: BaseModel, prefix: str = "") -> list[str]:
    found = []
    for name in type(ours).model_fields.keys() - SUBJECTS:
        a, b = getattr(ours, name), getattr(theirs, name)
        if isinstance(a, BaseModel):
            found += _differences(a, b, f"{name}.")
        elif a != b:
            found.append(f"{prefix}{name} {_short(a)} instead of {_short(b)}")
    return sorted(found)


def _short(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    shown = value if len(value) <= 4 else (*value[:2], "…", value[-1])
    return ", ".join(map(str, shown))


def tested(model: str) -> bool:
    """Whether a verdict may be given on this model: not on the random weights of `tiny`."""
    return model != "tiny"


def default_arrangement(params_value: str | None, lm: LanguageModel) -> str:
    """The arrangement asked for, else the model's own."""
    return params_value or lm.default_arrangement
