"""Trials: prefixes of several lengths held in trained vectors, and which of them came back.

A *way* says what is trained. `own m` and `shared m` are the one-pass proto-tokens, with an own
`m` for each text or one `m` for all texts of a source, which are then solved together; `1 mem`
and `2 mem` are the vectors of the autoregressive predecessor (`reproducer.readings.mem_vectors`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from reproducer.analysis.prefix_search import PrefixSearch, Strategy, checked_grid, search_prefix
from reproducer.errors import require_name
from reproducer.experiments.base import ArrangementName
from reproducer.experiments.profiles import ExperimentParams
from reproducer.models.card import model_card
from reproducer.readings.continuations import ContinuationSpec, contexts, texts_of
from reproducer.readings.mem_vectors import GreedySpec, MemGrowSpec, MemSpec
from reproducer.readings.surprisal import surprisal_specs
from reproducer.results.fits import FitSpec
from reproducer.results.growth import GrowSpec
from reproducer.results.known import Known
from reproducer.results.solutions import accuracies
from reproducer.results.specs import Result, SolveSpec, Spec
from reproducer.solver.recipes import Recipe, recipe
from reproducer.texts.sources import PASSAGES, SOURCES, Text, load_texts

Way = Literal["own m", "shared m", "1 mem", "2 mem"]
N_MEM = {"1 mem": 1, "2 mem": 2}
THRESHOLD = 0.99
PAPERS_GRID = (4, 5, 8, 11, 16, 22, 32, 45, 64, 90, 128, 181, 256, 362, 512, 724, 1024, 1448)
GENERATED = "generated:"  # before the source whose contexts the model continues
CONTEXT_TOKENS = 128


def _source(name: str) -> str:
    base = name.removeprefix(GENERATED)
    require_name("source", base, SOURCES if base == name else PASSAGES)
    return name


Grid = Annotated[tuple[int, ...], AfterValidator(lambda lengths: checked_grid(lengths))]
SearchSource = Annotated[str, AfterValidator(_source)]


class SearchParams(ExperimentParams):
    """What experiments on capacity share.

    `models` and `sources`: empty means `model` and `source` alone; `generated:<source>` are texts
    that the model samples after contexts of that source. `lengths`: the grid; `strategy`: how it
    is searched, where under `grow` every length starts at the solution of the one before, and the
    last step of the grid is repeated up to `end`. `arrangement`: None takes the model's own.
    """

    source: SearchSource = "unseen"
    models: tuple[str, ...] = ()
    sources: tuple[SearchSource, ...] = ()
    lengths: Grid = Field(PAPERS_GRID, min_length=1)
    strategy: Strategy = "bisect"
    end: int = Field(0, ge=0)
    arrangement: ArrangementName | None = None

    @property
    def every_model(self) -> tuple[str, ...]:
        return self.models or (self.model,)

    @property
    def every_source(self) -> tuple[str, ...]:
        return self.sources or (self.source,)

    @property
    def grid(self) -> tuple[int, ...]:
        """All lengths that a search may try."""
        return checked_grid(self.lengths, self.end if self.strategy == "grow" else 0)


@dataclass(frozen=True)
class Setting:
    """One way of holding the texts of one source in one model, and how its limit is searched.

    `stages`: the lengths that a solution grows through; `label`: what a table calls the strategy.
    `first` and `init` are those of `MemSpec`, for the ways that it belongs to.
    """

    model: str
    source: str
    way: Way
    texts: tuple[Text, ...]
    grid: tuple[int, ...]
    strategy: Strategy
    arrangement: str
    recipe: Recipe
    seed: int = 0
    first: str = ""
    init: str = ""
    stages: tuple[int, ...] = ()
    label: str = ""
    _specs: dict[tuple[int, int], SolveSpec] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def fit_of(self, number: int) -> int:
        """Which text's fit tells of text `number`: with a shared `m`, one fit tells of all."""
        return 0 if self.way == "shared m" else number

    def spec(self, number: int, n_tokens: int) -> SolveSpec:
        """The fit that tells whether the first `n_tokens` of text `number` can be held."""
        place = self.fit_of(number), n_tokens
        if place not in self._specs:
            self._specs[place] = self._new_spec(*place)
        return self._specs[place]

    def _new_spec(self, number: int, n_tokens: int) -> SolveSpec:
        common = {"model": self.model, "recipe": self.recipe, "seed": self.seed}
        if before := tuple(n for n in self.stages if n < n_tokens):
            common["stages"] = before
        if self.way in N_MEM:
            text = self.texts[number].prefix(n_tokens)
            design = {"n_mem": N_MEM[self.way], "first": self.first, "init": self.init}
            return (MemGrowSpec if before else MemSpec)(text=text, **design, **common)
        shared = self.way == "shared m"
        texts = self.texts if shared else self.texts[number : number + 1]
        return (GrowSpec if before else FitSpec)(
            texts=tuple(text.prefix(n_tokens) for text in texts),
            share="m" if shared else "none",
            arrangement=self.arrangement,
            **common,
        )

    def accuracy(self, number: int, result: Result) -> float:
        """The accuracy of text `number` in the fit that tells of it."""
        return accuracies(result)[number if self.way == "shared m" else 0]


class Trials(NamedTuple):
    """The searches of a setting, as far as what is known leads them.

    `searches`: one a text; `results`: by (text of the fit, length), None where it is not known.
    """

    setting: Setting
    searches: list[PrefixSearch]
    results: dict[tuple[int, int], Result | None]

    @property
    def specs(self) -> list[SolveSpec]:
        """All fits that the searches asked for so far."""
        return [self.setting.spec(*place) for place in self.results]

    @property
    def finished(self) -> bool:
        return not any(search.wanted for search in self.searches)

    @property
    def held(self) -> dict[int, int]:
        """The longest length that came back, by text, where one did."""
        return {i: s.longest for i, s in enumerate(self.searches) if s.longest}

    @property
    def greedy(self) -> list[GreedySpec]:
        """What greedy decoding returns of the longest prefixes, once all searches ended."""
        if self.setting.way not in N_MEM or not self.finished or not self.held:
            return []
        fits = tuple(self.setting.spec(*place) for place in self.held.items())
        return [GreedySpec(model=self.setting.model, fits=fits)]


def trials(setting: Setting, known: Known) -> Trials:
    """Replay the search of every text of a setting."""
    results: dict[tuple[int, int], Result | None] = {}

    def outcome(number: int, n_tokens: int) -> bool | None:
        place = setting.fit_of(number), n_tokens
        if place not in results:
            results[place] = known.get(setting.spec(*place), arrays=False)
        result = results[place]
        return None if result is None else setting.accuracy(number, result) >= THRESHOLD

    searches = [
        search_prefix(setting.grid, setting.strategy, partial(outcome, number))
        for number in range(len(setting.texts))
    ]
    return Trials(setting, searches, results)


def settings(
    params: SearchParams, models: Iterable[str], ways: Sequence[Way], known: Known
) -> list[Setting]:
    """Every source in every way on each of `models`; without sources whose texts are not known."""
    return [
        Setting(
            model=model,
            source=source,
            way=way,
            texts=texts,
            grid=params.grid,
            strategy=params.strategy,
            stages=params.grid if params.strategy == "grow" else (),
            arrangement=params.arrangement or model_card(model).arrangement,
            recipe=recipe(params.recipe, params.max_steps),
            seed=params.seed,
        )
        for model in models
        for source in params.every_source
        if (texts := _texts(params, model, source, known))
        for way in ways
    ]


def text_specs(params: SearchParams, models: Iterable[str]) -> list[ContinuationSpec]:
    """The texts that the models have to sample before anything can be fitted to them."""
    return [
        spec
        for model in models
        for source in params.every_source
        if source.startswith(GENERATED)
        for spec in _continuations(params, model, source)
    ]


def _continuations(params: SearchParams, model: str, source: str) -> list[ContinuationSpec]:
    """One continuation, of the longest length, of each context (Mezentsev & Oseledets §4)."""
    before = contexts(source.removeprefix(GENERATED), model, params.n_texts, CONTEXT_TOKENS)
    n_tokens = max(params.grid)
    return [
        ContinuationSpec(model=model, context=context, n_continuations=1, n_tokens=n_tokens)
        for context in before
    ]


def _texts(params: SearchParams, model: str, source: str, known: Known) -> tuple[Text, ...]:
    """The texts of a source at the longest length; none while they are not sampled yet."""
    n_tokens = max(params.grid)
    if not source.startswith(GENERATED):
        texts = load_texts(source, model, params.n_texts, n_tokens)
        return tuple(text.prefix(n_tokens) for text in texts)
    sampled = known.all(_continuations(params, model, source))
    return tuple(texts_of(r)[0] for r in sampled) if len(sampled) == params.n_texts else ()


def reading_specs(chosen: Iterable[Setting]) -> list[Spec]:
    """How much information each text holds under the model that holds it."""
    pairs = dict.fromkeys((s.model, text) for s in chosen for text in s.texts)
    return [spec for model, text in pairs for spec in surprisal_specs(model, [text])]
