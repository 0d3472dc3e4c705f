"""A3: how long a text can one forward pass hold? (Mezentsev & Oseledets, Table 3)

The capacity of a text is its longest prefix that comes back with an accuracy of at least 0.99,
in tokens and as the information `H_LM` in that prefix. The paper tries every length of a grid;
`bisect` finds the same length with fewer fits where longer prefixes are harder.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd
from pydantic import Field, field_validator

from reproducer.analysis.prefix_search import Strategy, checked_grid, search_prefixes
from reproducer.experiments.base import default_arrangement, results_of
from reproducer.experiments.capacity_claims import claims
from reproducer.experiments.capacity_views import figure, table
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.trials import Fetch, Setting, Way, longest, run_trials
from reproducer.results.run import cached_lm
from reproducer.results.specs import Spec
from reproducer.results.store import Result
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import load_texts

__all__ = ["Params", "claims", "collect", "figure", "specs", "strategies", "table"]

PAPERS_GRID = (4, 5, 8, 11, 16, 22, 32, 45, 64, 90, 128, 181, 256, 362, 512, 724, 1024, 1448)


class SearchParams(ExperimentParams):
    """What experiments on capacity share.

    `models` and `sources`: empty means `model` and `source` alone; `lengths`: the grid;
    `strategy`: `grid` or `bisect`; `arrangement`: None takes the model's own.
    """

    models: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    lengths: tuple[int, ...] = Field(PAPERS_GRID, min_length=1)
    strategy: Strategy = "bisect"
    arrangement: str | None = None

    _sorted = field_validator("lengths")(checked_grid)


class Params(SearchParams):
    """`ways`: with an own `m` for each text, with one for all texts of a source, or both.

    `compare_strategies`: try every length for the first model and source with own `m`, too, so
    that the two strategies can be compared.
    """

    ways: tuple[Literal["own m", "shared m"], ...] = Field(("own m", "shared m"), min_length=1)
    compare_strategies: bool = True


def settings(params: SearchParams, model: str, ways: tuple[Way, ...]) -> list[Setting]:
    """Every source in every way on one model."""
    lm = cached_lm(model)
    found = []
    for source in params.sources or (params.source,):
        texts = load_texts(source, lm, params.n_texts, max(params.lengths))
        texts = tuple(text.prefix(max(params.lengths)) for text in texts)
        found += [
            Setting(
                model=model,
                source=source,
                way=way,
                texts=texts,
                arrangement=default_arrangement(params.arrangement, lm),
                recipe=recipe(params.recipe, max_steps=params.max_steps),
                seed=params.seed,
            )
            for way in ways
        ]
    return found


def specs(params: Params) -> list[Spec]:
    """All fits of the grid; under `bisect`, those that the stored outcomes lead to."""
    asked: dict[str, Spec] = {}

    def fetch(wanted: list[Spec]) -> list[Result]:
        asked.update({spec.key: spec for spec in wanted})
        return results_of(wanted, compute_missing=False)

    _trials(params, fetch)
    return list(asked.values())


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each text and length tried; see `reproducer.experiments.trials.run_trials`."""
    frame = _trials(params, lambda wanted: results_of(wanted, compute_missing))
    return frame.assign(profile=params.profile) if len(frame) else frame


def _trials(params: Params, fetch: Fetch) -> pd.DataFrame:
    frames = []
    for m, model in enumerate(params.models or (params.model,)):
        chosen = settings(params, model, params.ways)
        frames.append(run_trials(chosen, params.lengths, params.strategy, fetch))
        if m == 0 and params.strategy == "bisect" and params.compare_strategies:
            own = [setting for setting in chosen if setting.way == "own m"][:1]
            frames.append(run_trials(own, params.lengths, "grid", fetch))
    return pd.concat(frames, ignore_index=True)


def strategies(df: pd.DataFrame) -> pd.DataFrame:
    """Both strategies on the settings whose whole grid was tried; one row a setting.

    `bisect` replays the grid's own outcomes, so that nothing but the strategy differs. Columns:
    texts, texts on which both agree, fits and token-steps (tokens times optimizer steps) of
    each, and the share of fits saved.
    """
    if df.empty:
        return df
    rows = []
    whole = df[df["strategy"] == "grid"]
    for (model, source, way), tried in whole.groupby(["model", "source", "way"], sort=False):
        by_grid = longest(tried).set_index("text")
        by_bisection = longest(_replayed(tried)).set_index("text").loc[by_grid.index]
        n_fits = by_grid["n_fits"].sum(), by_bisection["n_fits"].sum()
        rows.append(
            {
                "model": model,
                "source": source,
                "way": way,
                "texts": len(by_grid),
                "agree": int((by_grid["held_tokens"] == by_bisection["held_tokens"]).sum()),
                "fits, grid": n_fits[0],
                "fits, bisect": n_fits[1],
                "fits saved": f"{1 - n_fits[1] / n_fits[0]:.0%}",
                "token-steps, grid": by_grid["token_steps"].sum(),
                "token-steps, bisect": by_bisection["token_steps"].sum(),
            }
        )
    return pd.DataFrame(rows)


def _replayed(tried: pd.DataFrame) -> pd.DataFrame:
    """The trials that a bisection would have made of those of a whole grid."""
    outcome = tried.set_index(["text", "n_tokens"])["came_back"]
    texts, lengths = outcome.index.unique(0), sorted(outcome.index.unique(1))
    searches = search_prefixes(
        texts, lengths, "bisect", lambda asked: [bool(outcome[probe]) for probe in asked]
    )
    kept = [n in searches[text].tried for text, n in zip(tried.text, tried.n_tokens, strict=True)]
    return tried[kept]
