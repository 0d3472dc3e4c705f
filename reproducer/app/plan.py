"""What a run would compute, before anything is spent: fits, steps, hours and memory.

An experiment's own `specs` say what it asks for, as for `status`. Hours come from a calibration of
the solver on this machine, or from a stated peak where a model's weights are not here. Readings
(all results but fits) are counted, and their time is not in the hours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch

from reproducer.app.stand_ins import Hopeful, Unknown, planned_specs, weights_are_here
from reproducer.app.status import Asked
from reproducer.app.workload import (
    Fit,
    Place,
    Totals,
    batch_bytes,
    batches,
    costliest,
    seconds,
    shape_of,
    totals,
)
from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.study import wanted
from reproducer.models.language_model import DTYPES, device_of, fastest_dtype
from reproducer.models.zoo import SHAPE_PREFIX
from reproducer.results.budgets import under_smaller_budgets
from reproducer.results.forecast import Forecast
from reproducer.results.known import Known
from reproducer.results.provenance import device_name
from reproducer.results.run import cached_lm
from reproducer.results.specs import SolveSpec, with_needs
from reproducer.solver.calibrate import Clock, Pass, Speed, speed_of
from reproducer.solver.memory import batch_inputs, bytes_per_input, inputs_within, weight_bytes

CALIBRATION_SECONDS = 30.0
MOST_PASSES = 5


@dataclass(frozen=True)
class Gpu:
    """A GPU by its published numbers, and the share of its peak that a run is taken to reach.

    Peaks are those of dense matrix products, bfloat16; float32 proper has `float32_ratio` of it.
    """

    name: str = "H100 SXM"
    peak_flops: float = 989e12
    share: float = 0.35
    memory_bytes: float = 80e9
    float32_ratio: float = 67 / 989

    def speed(self, dtype: str) -> Speed:
        """Seconds for each FLOP, without any overhead."""
        ratio = 1.0 if dtype == "bfloat16" else self.float32_ratio
        return Speed(0.0, 1 / (self.peak_flops * ratio * self.share))

    def place(self, model: str, dtype: str) -> Place:
        """Batches as large as this memory allows beside the weights."""
        hf, solving = shape_of(model), DTYPES[dtype]
        free = max(0, self.memory_bytes - weight_bytes(hf, solving))
        return Place(torch.device("cuda"), inputs_within(free, bytes_per_input(hf.config, solving)))

    def __post_init__(self) -> None:
        if self.peak_flops <= 0 or self.memory_bytes <= 0 or not 0 < self.share <= 1:
            raise ReproducerError(
                "expected a peak and a memory above 0 and a share of at most 1, got "
                f"{self.peak_flops:g} FLOP/s, {self.memory_bytes:g} bytes and {self.share:g}"
            )

    def __str__(self) -> str:
        return f"{self.share:g} of {self.peak_flops / 1e12:g} TFLOP/s, {self.name}"


class Cost(NamedTuple):
    """What some fits take in all."""

    totals: Totals
    hours: float


@dataclass(frozen=True)
class Row:
    """The plan of one experiment on one model.

    `stored` and `missing` count fits, `readings` all other results that are missing. `at_most` and
    `expected` are of the missing fits, to the end of their budgets and as comparable stored fits
    say; `compared` counts those that have such. `bound`: with the fits that later rounds of an
    `open` experiment ask for if everything succeeds. Memory is None where nothing is fitted.
    """

    experiment: str
    model: str
    stored: int
    missing: int
    readings: int
    open: bool
    compared: int
    expected: Cost
    at_most: Cost
    bound: Cost
    dtype: str
    hours_by: str
    weight_bytes: int | None
    batch_bytes: int | None
    batch: str
    notes: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """The row as JSON data."""
        facts = {f.name: getattr(self, f.name) for f in fields(self)} | {"notes": list(self.notes)}
        costs = {name: facts[name] for name in ("expected", "at_most", "bound")}
        return facts | {n: {**c.totals._asdict(), "hours": c.hours} for n, c in costs.items()}


@dataclass
class _Draft:
    """An experiment's fits on one model before anything is timed."""

    experiment: str
    model: str
    stored: int
    readings: int
    open: bool
    now: list[Fit]
    with_later: list[Fit]
    notes: tuple[str, ...]


class _Machine:
    """Where each model's fits run and how fast: this machine, or the GPU that is stated."""

    def __init__(self, gpu: Gpu, by_peak: bool, clock: Clock) -> None:
        self.gpu, self.by_peak, self.clock = gpu, by_peak, clock
        self._speeds: dict[tuple[str, str], Speed] = {}
        self._places: dict[tuple[str, str], Place] = {}

    def is_here(self, model: str) -> bool:
        return not self.by_peak and weights_are_here(model)

    def dtype(self, model: str) -> str:
        """What "auto" comes to."""
        return fastest_dtype(device_of("auto")) if self.is_here(model) else "bfloat16"

    def place(self, model: str, dtype: str) -> Place:
        """Where the fits of a model run; loads a model that is here, once."""
        if (model, dtype) not in self._places:
            self._places[model, dtype] = self._place(model, dtype)
        return self._places[model, dtype]

    def _place(self, model: str, dtype: str) -> Place:
        if not self.is_here(model):
            return self.gpu.place(model, dtype)
        lm = cached_lm(model).in_dtype(dtype)
        return Place(lm.device, batch_inputs(lm))

    def calibrate(self, fits: Iterable[Fit], limit_s: float) -> None:
        """Time the solver on every model and dtype of `fits` that is here, `limit_s` in all."""
        groups: dict[tuple[str, str], list[Fit]] = {}
        for fit in fits:
            if fit.at_most and self.is_here(fit.spec.model):
                groups.setdefault((fit.spec.model, fit.spec.dtype), []).append(fit)
        for (model, dtype), some in groups.items():
            passes = typical_passes(some, self.place(model, dtype))
            lm = cached_lm(model).in_dtype(dtype)
            self._speeds[model, dtype] = speed_of(lm, passes, limit_s / len(groups), self.clock)

    def speed(self, model: str, dtype: str) -> Speed:
        if not self.is_here(model):
            return self.gpu.speed(dtype)
        return self._speeds[model, dtype]

    def told(self, model: str) -> str:
        """What hours follow from."""
        if not self.is_here(model):
            return str(self.gpu)
        return f"calibration, {device_name(device_of('auto'))}"


def plan(
    chosen: Mapping[str, ExperimentParams],
    gpu: Gpu = Gpu(),
    by_peak: bool = False,
    limit_s: float = CALIBRATION_SECONDS,
    clock: Clock = time.perf_counter,
) -> tuple[list[Row], dict[str, str]]:
    """The plan of each experiment and model, and by experiment why some could not be planned.

    Args:
        chosen: parameters by experiment.
        gpu: what hours follow from where a model's weights are not here, or for all `by_peak`.
        limit_s: seconds that all calibration may take.
    """
    machine, known = _Machine(gpu, by_peak, clock), Asked()
    forecast = Forecast(known.facts())
    drafts, unplanned = [], {}
    for name, params in chosen.items():
        try:
            drafts += _drafts(name, params, known, forecast, machine)
        except ReproducerError as error:
            unplanned[name] = str(error).replace(SHAPE_PREFIX, "")
    machine.calibrate([fit for draft in drafts for fit in draft.with_later], limit_s)
    return [_row(draft, machine) for draft in drafts], unplanned


def typical_passes(fits: Iterable[Fit], place: Place) -> list[Pass]:
    """Passes from the smallest to the largest that the fits make, and those of the costliest."""
    made: dict[Pass, None] = {}
    for batch in [costliest(fits), *batches(fits)]:
        size = batch[0].spec.size
        for n in (place.batch(size, len(batch)), 1):
            made.setdefault(place.passes(size, n)[0])
    first, rest = list(made)[:2], sorted(list(made)[2:], key=lambda p: p.n_sequences * p.n_inputs)
    n_more = min(MOST_PASSES - len(first), len(rest))
    spread = [rest[round(i * (len(rest) - 1) / max(1, n_more - 1))] for i in range(n_more)]
    return [*first, *spread]


def _drafts(
    name: str, params: ExperimentParams, known: Asked, forecast: Forecast, machine: _Machine
) -> list[_Draft]:
    asked = planned_specs(params, known)
    specs = list(with_needs(asked.specs))
    later = specs
    if asked.open:
        hopeful = wanted(asked.params, Hopeful(asked.known))
        later = list(with_needs([*asked.specs, *hopeful]))
    needed = with_needs(later, asked.known)
    missing = {spec.key for spec in needed if spec not in asked.known}
    # What loads no language model, as a sentence encoder, stands with the first that is loaded.
    first, *others = dict.fromkeys(spec.model for spec in later if spec.LOADS_MODEL)
    drafts = []
    for model in (first, *others):
        ours = [s for s in specs if s.model == model or (model == first and not s.LOADS_MODEL)]
        fits = [spec for spec in ours if isinstance(spec, SolveSpec)]
        possible = [s for s in later if isinstance(s, SolveSpec) and s.model == model]
        left = [spec for spec in possible if spec.key in missing]
        forecasts = _fits(left, asked.known, forecast, machine.dtype(model))
        now = [forecasts[spec.key] for spec in fits if spec.key in missing]
        drafts.append(
            _Draft(
                experiment=name,
                model=model,
                stored=len(fits) - len(now),
                readings=sum(s.key in missing for s in ours if not isinstance(s, SolveSpec)),
                open=asked.open,
                now=now,
                with_later=list(forecasts.values()),
                notes=tuple(asked.notes),
            )
        )
    return drafts


def _fits(specs: list[SolveSpec], known: Known, forecast: Forecast, dtype: str) -> dict[str, Fit]:
    """What each of the missing fits has yet to do, by the key that it was asked for by."""
    settled = {spec.key: known.settled(spec, dtype) for spec in specs}
    sources = () if isinstance(known, Unknown) else (known.shipped, known.store)
    earlier = under_smaller_budgets(settled.values(), sources, arrays=False) if sources else {}
    fits = {}
    for key, spec in settled.items():
        before = earlier.get(spec.key) if earlier else None  # a key takes time
        if before is not None and before.metrics["solved"]:
            fits[key] = Fit(spec, 0, 0.0, compared=True)  # it is taken over
            continue
        begun = before.metrics["steps"] if before else 0
        steps = forecast.steps(spec, begun) if sources else None
        at_most = spec.recipe.max_steps - begun
        fits[key] = Fit(spec, at_most, at_most if steps is None else steps, steps is not None)
    return fits


def _row(draft: _Draft, machine: _Machine) -> Row:
    dtypes = dict.fromkeys(fit.spec.dtype for fit in draft.with_later)
    memory, batch = _memory(draft, machine)
    return Row(
        experiment=draft.experiment,
        model=draft.model.replace(SHAPE_PREFIX, ""),
        stored=draft.stored,
        missing=len(draft.now),
        readings=draft.readings,
        open=draft.open,
        compared=sum(fit.compared for fit in draft.now),
        expected=_cost(draft.now, machine, expected=True),
        at_most=_cost(draft.now, machine),
        bound=_cost(draft.with_later, machine),
        dtype=", ".join(dtypes),
        hours_by=machine.told(draft.model) if draft.with_later else "",
        weight_bytes=memory and memory[0],
        batch_bytes=memory and memory[1],
        batch=batch,
        notes=draft.notes,
    )


def _cost(fits: list[Fit], machine: _Machine, expected: bool = False) -> Cost:
    total = 0.0
    for model, dtype in dict.fromkeys((fit.spec.model, fit.spec.dtype) for fit in fits):
        some = [f for f in fits if f.spec.dtype == dtype and f.at_most]
        if some:
            place, speed = machine.place(model, dtype), machine.speed(model, dtype)
            total += seconds(some, place, speed, expected)
    return Cost(totals(fits, expected), total / 3600)


def _memory(draft: _Draft, machine: _Machine) -> tuple[tuple[int, int] | None, str]:
    """Bytes of weights and of the costliest batch, and that batch in words."""
    if not draft.with_later:
        return None, ""
    batch = costliest(draft.with_later)
    spec, size = batch[0].spec, batch[0].spec.size
    place, dtype = machine.place(spec.model, spec.dtype), DTYPES[spec.dtype]
    packs = place.device.type == "cpu" and dtype == torch.bfloat16
    weights = weight_bytes(shape_of(spec.model), dtype, packs)
    words = f"{place.batch(size, len(batch))} × {size.n_sequences} × {size.n_inputs}"
    return (weights, batch_bytes(batch, place, dtype)), words
