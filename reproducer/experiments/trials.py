"""Trials: prefixes of several lengths held in trained vectors, and which of them came back.

A *way* says what is trained. `own m` and `shared m` are the one-pass proto-tokens, with an own
`m` for each text or one `m` for all texts of a source, which are then solved together; `1 mem`
and `2 mem` are the vectors of the autoregressive predecessor (`reproducer.readings.mem_vectors`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from reproducer.analysis.prefix_search import Strategy, search_prefixes
from reproducer.experiments.base import PROVENANCE_COLUMNS
from reproducer.readings.mem_vectors import MemSpec
from reproducer.readings.surprisal import TextInformation, text_information
from reproducer.results.specs import FitSpec, SolveSpec, Spec
from reproducer.results.store import Result
from reproducer.solver.recipes import Recipe
from reproducer.texts.sources import Text

Way = Literal["own m", "shared m", "1 mem", "2 mem"]
N_MEM = {"1 mem": 1, "2 mem": 2}
THRESHOLD = 0.99
ENOUGH_TEXTS = 10
NEEDS = (
    f"needs {ENOUGH_TEXTS} texts a side, something held, and fewer than half of the texts held "
    "at the longest length tried"
)
Fetch = Callable[[list[Spec]], list[Result]]
GROUP = ["model", "source", "way", "strategy"]


@dataclass(frozen=True)
class Setting:
    """One way of holding the texts of one source in one model."""

    model: str
    source: str
    way: Way
    texts: tuple[Text, ...]
    arrangement: str
    recipe: Recipe
    seed: int = 0
    _groups: dict[int, FitSpec] = field(default_factory=dict, compare=False, repr=False)

    def spec(self, number: int, n_tokens: int) -> SolveSpec:
        """The fit that tells whether the first `n_tokens` of text `number` can be held."""
        common = {"model": self.model, "recipe": self.recipe, "seed": self.seed}
        if self.way == "shared m":
            if n_tokens not in self._groups:
                group = tuple(text.prefix(n_tokens) for text in self.texts)
                self._groups[n_tokens] = FitSpec(
                    texts=group, share="m", arrangement=self.arrangement, **common
                )
            return self._groups[n_tokens]
        text = self.texts[number].prefix(n_tokens)
        if self.way == "own m":
            return FitSpec(texts=(text,), arrangement=self.arrangement, **common)
        return MemSpec(text=text, n_mem=N_MEM[self.way], **common)

    def row(self, number: int, n_tokens: int, strategy: str, result: Result) -> dict:
        """The trial as a row of the frame that `run_trials` describes."""
        shared = self.way == "shared m"
        correct = result.arrays["correct"][number if shared else 0]
        accuracy = correct.double().mean().item()
        return {
            "key": result.key,
            "model": self.model,
            "source": self.source,
            "way": self.way,
            "strategy": strategy,
            "text": self.texts[number].id,
            "n_tokens": n_tokens,
            "accuracy": accuracy,
            "c_tokens": int(correct.sum()),
            "came_back": accuracy >= THRESHOLD,
            "arrangement": "" if self.way in N_MEM else self.arrangement,
            "recipe": self.recipe.name,
            "max_steps": self.recipe.max_steps,
            "steps": result.metrics["steps"],
            # A shared fit is one fit of all texts: each is charged its part.
            "seconds": result.metrics["seconds"] / (len(self.texts) if shared else 1),
            **{name: result.provenance[name] for name in PROVENANCE_COLUMNS},
        }


def run_trials(
    settings: Sequence[Setting], lengths: Sequence[int], strategy: Strategy, fetch: Fetch
) -> pd.DataFrame:
    """Search the longest prefix of every text under every setting; one row a text and trial.

    Rounds of all settings go together, so that their fits share batches. Texts whose search
    `fetch` cannot finish have no rows.

    Columns: key, model, source, way, strategy, text, n_tokens (of the trial), accuracy,
    c_tokens (right positions), came_back (accuracy of at least `THRESHOLD`), arrangement,
    recipe, max_steps, steps, seconds, provenance; h_lm_nats, characters, bits_per_character of
    the prefix.
    """
    rows: dict[tuple[int, int], list[dict]] = {
        (s, number): []
        for s, setting in enumerate(settings)
        for number in range(len(setting.texts))
    }

    def attempt(asked: list[tuple[tuple[int, int], int]]) -> list[bool | None]:
        wanted = [settings[s].spec(number, n) for (s, number), n in asked]
        known = {result.key: result for result in fetch(wanted)}
        outcomes: list[bool | None] = []
        for ((s, number), n), spec in zip(asked, wanted, strict=True):
            result = known.get(spec.key)
            if result is not None:
                rows[s, number].append(settings[s].row(number, n, strategy, result))
            outcomes.append(None if result is None else rows[s, number][-1]["came_back"])
        return outcomes

    searches = search_prefixes(rows, lengths, strategy, attempt)
    finished = {key: rows[key] for key, search in searches.items() if not search.stuck}
    return _with_information(finished, settings, fetch)


def _with_information(
    rows: dict[tuple[int, int], list[dict]], settings: Sequence[Setting], fetch: Fetch
) -> pd.DataFrame:
    known: dict[tuple[str, Text], TextInformation] = {}
    for model in {setting.model for setting in settings}:
        texts = [t for s in settings if s.model == model for t in s.texts]
        known |= {(model, t): i for t, i in text_information(model, texts, fetch).items()}
    full = []
    for (s, number), trials in rows.items():
        information = known.get((settings[s].model, settings[s].texts[number]))
        if information is not None:
            full += [trial | information.columns(trial["n_tokens"]) for trial in trials]
    return pd.DataFrame(full)


def longest(trials: pd.DataFrame) -> pd.DataFrame:
    """The longest prefix of each text that came back; one row a (setting, strategy, text).

    Columns of the trials, where those from accuracy to bits_per_character belong to that
    prefix and are 0 (bits: NaN) if none came back; and `n_tokens`, the longest tried,
    `held_tokens`, the longest that came back, `n_fits`, `token_steps` (work in all trials).
    """
    if trials.empty:
        return trials
    rows = []
    for _, tried in trials.groupby([*GROUP, "text"], sort=False):
        back = tried[tried["came_back"]]
        if len(back):
            best = back.loc[back["n_tokens"].idxmax()].to_dict()
            held = best["n_tokens"]
        else:
            best = tried.loc[tried["n_tokens"].idxmin()].to_dict()
            best |= dict.fromkeys(("c_tokens", "h_lm_nats", "characters", "accuracy"), 0)
            best["bits_per_character"] = float("nan")
            held = 0
        work = (tried["n_tokens"] * tried["steps"]).sum()
        best |= {"n_tokens": tried["n_tokens"].max(), "held_tokens": held}
        rows.append(best | {"n_fits": len(tried), "token_steps": int(work)})
    return pd.DataFrame(rows)


def enough(held: pd.DataFrame) -> bool:
    """Whether rows of `longest` carry a verdict: `NEEDS` in code."""
    at_the_end = (held["held_tokens"] >= held["n_tokens"]).mean()
    return len(held) >= ENOUGH_TEXTS and at_the_end < 0.5 and held["held_tokens"].mean() > 0
