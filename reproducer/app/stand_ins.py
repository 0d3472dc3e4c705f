"""What a plan takes in place of what is not here: outcomes of later, and models and texts of a hub.

Both go through an experiment's own `specs`, which so says itself what it would ask for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reproducer.app.status import Asked
from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.study import wanted
from reproducer.models.card import model_card
from reproducer.models.zoo import MODELS, RANDOM_PREFIX, SHAPE_PREFIX
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec
from reproducer.texts.families import FAMILIES
from reproducer.texts.sentence_encoder import EMBEDDED as EMBEDDED_ENCODER
from reproducer.texts.sources import STAND_IN_TOKENS, STAND_INS
from reproducer.texts.teachers import TEACHERS

STAND_IN = "stand-in:"
GRAMMAR_TOKENS = 10  # all classes have sentences of so many by SmolLM2's tokenizer
MODEL_FIELDS = ("model", "models", "controls")
# Sources of texts that a download brings.
ELSEWHERE = (*(name.removeprefix(STAND_IN) for name in STAND_INS), "dolly")
# Sources that are here, tried where drawn tokens do not serve: with contexts, and in families.
SOURCES = ("", "unseen", "paraphrases")


class Unknown(Asked):
    """Knows nothing: the key of a stand-in names no result, so none is looked up."""

    def get(self, spec: Spec, arrays: bool = True) -> None:
        self.unanswered = True

    def __contains__(self, spec: Spec) -> bool:
        self.unanswered = True
        return False

    def settled(self, spec: Spec, fallback: str = "auto") -> Spec:
        return spec.settled(lambda inner: fallback)


class Hopeful(Known):
    """What another knows, and of what is missing there the outcome after which most would follow.

    Every text is held, and texts are sampled as long as asked for. So a search goes on to the end
    of its grid, and all pairs of solutions are joined.
    """

    def __init__(self, before: Known) -> None:
        super().__init__(before.store, before.shipped)
        self.before = before

    def get(self, spec: Spec, arrays: bool = True) -> Result | None:
        result = self.before.get(spec, arrays)
        outcome = None if result else _outcome(spec)
        if outcome is None:
            return result
        return Result(spec.key, spec.model_dump(mode="json"), *outcome)


def _outcome(spec: Spec) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Metrics and arrays as far as `specs` of some experiment read them."""
    if spec.kind in ("fit", "grow", "mem", "mem_grow"):
        size, steps = spec.size, spec.recipe.max_steps
        metrics = {"accuracy": [1.0] * size.n_sequences, "solved": True, "steps": steps}
        return metrics, {"rows": np.zeros((size.n_rows, 1), np.float32)}
    if spec.kind == "continuations":
        draw, shape = random.Random(spec.key), (spec.n_continuations, spec.n_tokens)
        tokens = draw.choices(range(STAND_IN_TOKENS), k=spec.n_continuations * spec.n_tokens)
        return {}, {"tokens": np.reshape(tokens, shape)}
    if spec.kind == "paraphrases":
        return {"texts": [spec.original] * spec.n}, {}
    return None


class Planned(NamedTuple):
    """The specs that an experiment asks for: with which parameters, and by what is known.

    `open`: more will follow, which ones depends on results that are missing. `notes`: what stood in
    for what is not here, in words.
    """

    params: ExperimentParams
    known: Known
    specs: list[Spec]
    open: bool
    notes: list[str]


def planned_specs(params: ExperimentParams, known: Asked) -> Planned:
    """The specs of `params`, or of stand-ins for what is on a hub alone.

    Raises:
        ReproducerError: neither can be planned; the first error is told.
    """
    first: ReproducerError | None = None
    for chosen, notes in _candidates(params):
        asked = Unknown(known.store, known.shipped) if notes else known
        asked.unanswered = False
        try:
            specs = wanted(chosen, asked)
        except ReproducerError as error:
            first = first or error
            continue
        return Planned(chosen, asked, specs, asked.unanswered, notes)
    raise first


def _candidates(params: ExperimentParams) -> Iterator[tuple[ExperimentParams, list[str]]]:
    """`params`, if its models are here; then with other models, then also with other texts."""
    changes, notes = _stood_in(params), []
    # Of untrained weights the shape is known; only texts ask for their tokenizer.
    if all(is_here(name) or name.startswith(RANDOM_PREFIX) for name in _models_of(params)):
        yield params, []
    if changes:
        notes.append("models of the hub by their published shapes, with SmolLM2's tokenizer")
    if "teacher" in type(params).model_fields and not _teacher_is_here(params.teacher):
        changes["teacher"] = EMBEDDED_ENCODER
        notes.append(f"the teacher {params.teacher} by {EMBEDDED_ENCODER}")
    sources = {params.source, *getattr(params, "sources", ())}
    if not any(name.endswith(ELSEWHERE) for name in sources):
        yield params.model_copy(update=changes), notes
        if params.source == "grammar":
            told = f"sentences of {params.n_tokens} tokens by some of {GRAMMAR_TOKENS}"
            yield params.model_copy(update=changes | {"n_tokens": GRAMMAR_TOKENS}), [*notes, told]
        return
    for here in SOURCES:
        texts = _texts_from(params, here)
        told = f"texts of {', '.join(sorted(sources))} by texts that are here"
        if (n_texts := texts.get("n_texts", params.n_texts)) < params.n_texts:
            told += f", {n_texts} of {params.n_texts}: the whole is as many times as much"
        yield params.model_copy(update=changes | texts), [*notes, told]


def _models_of(params: ExperimentParams) -> list[str]:
    """All models that are named and used."""
    used = (name for name in MODEL_FIELDS if name not in getattr(params, "UNUSED", ()))
    values = (getattr(params, name, ()) for name in used)
    return [n for value in values for n in ((value,) if isinstance(value, str) else value)]


def _stood_in(params: ExperimentParams) -> dict[str, Any]:
    """The fields that name models, where one of them is on the hub alone."""
    changes: dict[str, Any] = {}
    for name in MODEL_FIELDS:
        value = getattr(params, name, ())
        there = shaped(value) if isinstance(value, str) else tuple(map(shaped, value))
        if there != value:
            changes[name] = there
    return changes


def shaped(name: str) -> str:
    """The name of a model, or of its shape if it is not here."""
    if is_here(name):
        return name
    untrained = RANDOM_PREFIX if name.startswith(RANDOM_PREFIX) else ""
    return f"{untrained}{SHAPE_PREFIX}{name.removeprefix(RANDOM_PREFIX)}"


def _texts_from(params: ExperimentParams, here: str) -> dict[str, Any]:
    """The fields that name sources of texts, with what is here; "" stands for drawn tokens."""

    def instead(name: str) -> str:
        kind, colon, base = name.rpartition(":")
        if base not in ELSEWHERE:
            return name
        return f"{kind}:unseen" if colon else here or f"{STAND_IN}{name}"

    fields: dict[str, Any] = {"source": instead(params.source)}
    if getattr(params, "sources", ()):
        fields["sources"] = tuple(instead(name) for name in params.sources)
    if here in FAMILIES:
        fields["n_texts"] = min(params.n_texts, sum(1 for _ in FAMILIES[here]()))
    return fields


@cache
def is_here(name: str) -> bool:
    """Whether a model's card and tokenizer can be had, from here or from a hub that answers.

    A name that no hub would know counts as here: its error is then told.
    """
    base = name.removeprefix(RANDOM_PREFIX)
    if base in MODELS and MODELS[base].hub is None:
        return True
    try:
        return model_card(name).tokenizer is not None
    except ReproducerError:
        return base not in MODELS


@cache
def weights_are_here(name: str) -> bool:
    """Whether a model can be loaded without a download."""
    if SHAPE_PREFIX in name:
        return False
    card = model_card(name)
    if card.untrained or card.revision is None or Path(card.folder).is_dir():
        return True
    import huggingface_hub

    files = ("model.safetensors", "model.safetensors.index.json")
    cached = (
        huggingface_hub.try_to_load_from_cache(card.folder, file, revision=card.revision)
        for file in files
    )
    return any(isinstance(path, str) for path in cached)


def _teacher_is_here(name: str) -> bool:
    encoder = TEACHERS[name].encoder
    return encoder in (None, EMBEDDED_ENCODER)
