"""A2: can a group of texts share `e` or `m`? (Mezentsev & Oseledets, Table 2)

Each group of texts is fitted together: one row of the shared role, an own row of the other for
each text. The paper finds that either role can be shared if enough seeds are tried, and that
larger groups need more of them; the curve over the number of seeds, which it does not show, is
shown here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field, ValidationInfo, field_validator

from reproducer.analysis.best_of_k import best_of_k
from reproducer.analysis.intervals import bootstrap_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import default_arrangement, fit_frame, results_of, tested
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.results.run import cached_lm
from reproducer.results.specs import FitSpec
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import load_texts

ROLES = ("e", "m")
ENOUGH_GROUP, ENOUGH_SEEDS = 16, 5
AGGREGATES = ("max", "max, one seed a group", "avg")


class Params(ExperimentParams):
    """`n_tokens`: length of the texts; `n_seeds`: starts `seed … seed + n_seeds − 1`.

    Every group size must divide `n_texts`. `arrangement`: None takes the model's own.
    """

    n_tokens: int = Field(256, ge=1)
    group_sizes: tuple[int, ...] = Field((1, 4, 16, 64, 256), min_length=1)
    n_seeds: int = Field(10, ge=1)
    roles: tuple[Literal["e", "m"], ...] = Field(ROLES, min_length=1)
    arrangement: str | None = None

    @field_validator("group_sizes")
    @classmethod
    def _divide_the_texts(cls, sizes: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        n_texts = info.data.get("n_texts", 1)
        if any(size < 1 or n_texts % size for size in sizes):
            fitting = [size for size in range(1, n_texts + 1) if n_texts % size == 0]
            raise ReproducerError(
                f"expected group sizes that divide the {n_texts} texts ({fitting})"
            )
        return tuple(sorted(set(sizes)))


def specs(params: Params) -> list[FitSpec]:
    """One fit for each role, group size, group of consecutive texts, and seed.

    A group of one shares nothing: its fit is the same for both roles and appears once.
    """
    lm = cached_lm(params.model)
    texts = load_texts(params.source, lm, params.n_texts, params.n_tokens)
    texts = [text.prefix(params.n_tokens) for text in texts]
    settings = [(role, size) for size in params.group_sizes if size > 1 for role in params.roles]
    if 1 in params.group_sizes:
        settings.insert(0, ("none", 1))
    return [
        FitSpec(
            model=params.model,
            arrangement=default_arrangement(params.arrangement, lm),
            texts=tuple(texts[first : first + size]),
            share=role,
            seed=seed,
            recipe=recipe(params.recipe, max_steps=params.max_steps),
        )
        for role, size in settings
        for first in range(0, len(texts), size)
        for seed in range(params.seed, params.seed + params.n_seeds)
    ]


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each role, group size, text and seed.

    `fit_frame`'s columns with `shared` (the role: fits of one text stand under both) and `group`
    (the id of the group's first text). Texts of which a seed is not stored have no rows.
    """
    results = results_of(specs(params), compute_missing)
    frame = fit_frame(results, params)
    if frame.empty:
        return frame
    first = {result.key: result.spec["texts"][0]["id"] for result in results}
    frame = frame.assign(group=frame["key"].map(first))
    roles = [
        frame[(frame["share"] == role) | (frame["group_size"] == 1)].assign(shared=role)
        for role in params.roles
    ]
    both = pd.concat(roles, ignore_index=True)
    n_seeds = both.groupby(["shared", "group_size", "text"])["seed"].transform("count")
    return both[n_seeds == params.n_seeds].reset_index(drop=True)


def by_seed(df: pd.DataFrame, shared: str, group_size: int, unit: str = "text") -> pd.DataFrame:
    """Accuracy of each `unit` (row: a text, or a group's mean) under each seed (column)."""
    chosen = df[(df["shared"] == shared) & (df["group_size"] == group_size)]
    return chosen.pivot_table(index=unit, columns="seed", values="accuracy")


def _aggregates(df: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (shared, size), _ in df.groupby(["shared", "group_size"]):
        texts, groups = by_seed(df, shared, size), by_seed(df, shared, size, "group")
        values = (texts.max(axis=1), groups.max(axis=1), texts.stack())
        rows += [
            (shared, aggregate, size, sample.mean(), sample.std(ddof=0))
            for aggregate, sample in zip(AGGREGATES, values, strict=True)
        ]
    columns = ["shared", "aggregate", "group_size", "accuracy_mean", "accuracy_std"]
    return pd.DataFrame(rows, columns=columns)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, mean ± standard deviation: ours, then the paper's Table 2.

    `max` takes the best seed of each text and averages over texts; `max, one seed a group`
    the best seed of each group, so that its texts really share one row, and averages over
    groups; `avg` averages over seeds and texts.
    """
    theirs = published("sharing").assign(run="paper (Llama-3.2-1B)")
    ours = _aggregates(df).assign(run=f"ours ({df['model'].iloc[0]})")
    both = pd.concat([ours, theirs], ignore_index=True)
    both["cell"] = [
        f"{mean:.2f} ± {std:.2f}"
        for mean, std in zip(both["accuracy_mean"], both["accuracy_std"], strict=True)
    ]
    both["aggregate"] = pd.Categorical(both["aggregate"], AGGREGATES, ordered=True)
    wide = both.pivot(index=["shared", "aggregate"], columns=["run", "group_size"], values="cell")
    wide = wide.rename_axis(columns=["run", "texts in a group"])
    return wide.sort_index().sort_index(axis=1).fillna("")


def figure(df: pd.DataFrame) -> Figure:
    """Expected accuracy of the best of k seeds against k: a panel a role, a line a group size."""
    roles = [role for role in ROLES if role in set(df["shared"])]
    made, axes = plots.figure(len(roles), sharey=True, squeeze=False)
    for axis, role in zip(axes[0], roles, strict=True):
        _curves(axis, df, role)
    axes[0, 0].set_ylabel("expected accuracy of the best seed")
    handles, labels = axes[0, -1].get_legend_handles_labels()
    labels = [f"groups of {label}" for label in labels]
    made.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    return made


def _curves(axis: Axes, df: pd.DataFrame, role: str) -> None:
    sizes = sorted(df.loc[df["shared"] == role, "group_size"].unique())
    for size, style in plots.line_styles(sizes).items():
        matrix = by_seed(df, role, size).to_numpy()
        curves = best_of_k(matrix)  # (n_texts, n_seeds)
        k = np.arange(1, curves.shape[1] + 1)
        mean = curves.mean(0)
        error = curves.std(0, ddof=1) / len(curves) ** 0.5 if len(curves) > 1 else np.zeros(len(k))
        axis.plot(k, mean, label=str(size), **style)
        axis.fill_between(k, mean - error, mean + error, color=style["color"], alpha=0.15, lw=0)
    axis.set(xlabel="seeds tried, k", title=f"shared {role}", ylim=(-0.03, 1.05))
    axis.set_xticks(k)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """For each role: it can be shared, and sharing it takes more seeds."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    roles = [role for role in ROLES if role in set(df["shared"])]
    return [make(df, role) for role in roles for make in (_can_be_shared, _takes_more_seeds)]


def _can_be_shared(df: pd.DataFrame, role: str) -> Verdict:
    alone, together, size = _alone_and_together(df, role)
    return _verdict(
        df,
        size,
        None if alone is None else together.max(axis=1) - alone.max(axis=1),
        id=f"A2.share-{role}",
        claim=f"{role} can be shared if enough seeds are tried: best-seed accuracy of a text in "
        f"a group of {size} minus alone",
        published={"e": "-0.01 (0.99 against 1.00)", "m": "0.00 (1.00 against 1.00)"}[role],
        holds="above -0.02",
        test=lambda d: d > -0.02,
    )


def _takes_more_seeds(df: pd.DataFrame, role: str) -> Verdict:
    alone, together, size = _alone_and_together(df, role)
    gains = None if alone is None else _gain(together) - _gain(alone)
    return _verdict(
        df,
        size,
        gains,
        id=f"A2.restarts-{role}",
        claim=f"Sharing {role} takes more restarts: what the best seed gains over the mean seed, "
        f"in a group of {size} minus alone",
        published={"e": "+0.11 (0.13 against 0.02)", "m": "+0.15 (0.17 against 0.02)"}[role],
        holds="above 0",
        test=lambda d: d > 0,
    )


def _gain(accuracy: pd.DataFrame) -> pd.Series:
    return accuracy.max(axis=1) - accuracy.mean(axis=1)


def _alone_and_together(
    df: pd.DataFrame, role: str
) -> tuple[pd.DataFrame | None, pd.DataFrame | None, int]:
    """Accuracy by seed without sharing and in the largest groups, over the texts of both."""
    size = int(df.loc[df["shared"] == role, "group_size"].max())
    alone, together = by_seed(df, role, 1), by_seed(df, role, size)
    both = alone.index.intersection(together.index)
    if size == 1 or both.empty:
        return None, None, size
    return alone.loc[both], together.loc[both], size


def _verdict(
    df: pd.DataFrame, size: int, differences: pd.Series | None, *, holds: str, test, **fields
) -> Verdict:
    scale = differences is not None
    numbers = bootstrap_interval(differences) if scale else (None, None, None)
    scale = scale and size >= ENOUGH_GROUP and df["seed"].nunique() >= ENOUGH_SEEDS
    return verdict_on(
        df,
        numbers,
        test,
        scale,
        experiment="sharing",
        n=df["text"].nunique(),
        criterion=f"paired difference over texts {holds}, whole interval; needs groups of "
        f"{ENOUGH_GROUP} or more texts and {ENOUGH_SEEDS} or more seeds",
        **fields,
    )
