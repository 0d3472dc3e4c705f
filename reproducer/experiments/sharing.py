"""A2: can a group of texts share `e` or `m`? (Mezentsev & Oseledets, Table 2)

Each group of texts is fitted together: one row of the shared role, an own row of the other for
each text. A group is held only if one seed, one shared vector, holds it whole.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, ValidationInfo, field_validator

from reproducer.analysis.intervals import share_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import base, plots
from reproducer.experiments.cells import mean_std, spread
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.solver.recipes import Recipe, recipe

ROLES = ("e", "m")
AGGREGATES = ("max", "max, one seed a group", "groups held", "avg")
PAPERS_K = {"avg": 1, "max": 10}  # seeds tried behind each of the paper's means
HELD = 0.99  # the paper's threshold for a text that is held, here for a group's mean accuracy
LOSS = 0.05  # of accuracy, below which a loss is of no interest: a token in 20
# Fewer groups decide nothing even if all agree: the exact interval of 5 of 5 begins below a half.
MIN_GROUPS, MIN_SEEDS, MIN_TOKENS = 6, 3, 8
MORE_THAN_NOT = above(0.5, "in more groups than not")
PROTOCOL = base.Protocol(
    paper="256 texts of 256 tokens on Llama-3.2-1B, groups of up to 256, 10 seeds; `max` is the "
    "best seed of each text, averaged over texts, `avg` the mean over seeds and texts.",
    ours="Disjoint groups of consecutive texts. A group counts as held if one seed brings the mean "
    "accuracy of all its texts to 0.99, and as losing by one seed if its mean over seeds is more "
    "than a token in 20 below that of the same texts alone. Shares of groups, exact intervals. "
    "Both of the paper's means stand in the table.",
    why="The best seed of each text takes texts of one group from different runs. Texts that are "
    "fitted together are no independent sample, groups are.",
)


class Params(ExperimentParams):
    """`n_tokens`: length of the texts; `n_seeds`: starts `seed … seed + n_seeds − 1`.

    Every group size must divide `n_texts`. `arrangement`: None takes the model's own. With `cold_m`
    every `m` starts from N(0, init_std²), also where the recipe would start it warm.
    """

    n_tokens: int = Field(256, ge=1)
    group_sizes: tuple[int, ...] = Field((1, 4, 16, 64, 256), min_length=1)
    n_seeds: int = Field(10, ge=1)
    roles: tuple[Literal["e", "m"], ...] = Field(ROLES, min_length=1)
    arrangement: base.ArrangementName | None = None
    cold_m: bool = False

    @field_validator("group_sizes")
    @classmethod
    def _divide_the_texts(cls, sizes: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        n_texts = info.data.get("n_texts", 1)
        good = [size for size in range(1, n_texts + 1) if n_texts % size == 0]
        if not set(sizes) <= set(good):
            raise ReproducerError(f"expected group sizes that divide the {n_texts} texts ({good})")
        return tuple(sorted(set(sizes)))


def specs(params: Params, known: Known) -> list[FitSpec]:
    """One fit for each role, group size, group of consecutive texts, and seed.

    A group of one shares nothing: its fit is the same for both roles and appears once.
    """
    texts = base.texts_of(params, params.n_tokens)
    settings = [(role, size) for size in params.group_sizes if size > 1 for role in params.roles]
    if 1 in params.group_sizes:
        settings.insert(0, ("none", 1))
    return [
        base.fit(params, texts[i : i + size], share=role, seed=seed, recipe=_recipe(params))
        for role, size in settings
        for i in range(0, len(texts), size)
        for seed in range(params.seed, params.seed + params.n_seeds)
    ]


def _recipe(params: Params) -> Recipe:
    chosen = recipe(params.recipe, params.max_steps)
    if not (params.cold_m and chosen.warm_m):
        return chosen
    return chosen.model_copy(update={"name": f"{chosen.name}, m cold", "warm_m": ""})


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each role, group size, text and seed.

    `fit_frame`'s columns with `shared` (the role: fits of one text stand under both), `group` (the
    id of the group's first text) and `warm_m`. Texts that lack a seed have no rows.
    """
    results = known.all(specs(params, known))
    frame = base.fit_frame(results, params)
    first = {result.key: result.spec["texts"][0]["id"] for result in results}
    warm = {result.key: bool(result.spec["recipe"]["warm_m"]) for result in results}
    frame = frame.assign(group=frame["key"].map(first), warm_m=frame["key"].map(warm))
    roles = [
        frame[(frame["share"] == role) | (frame["group_size"] == 1)].assign(shared=role)
        for role in params.roles
    ]
    both = pd.concat(roles, ignore_index=True)
    n_seeds = both.groupby(["shared", "group_size", "text"])["seed"].transform("count")
    return both[n_seeds == params.n_seeds].reset_index(drop=True)


def by_seed(df: pd.DataFrame, shared: str, group_size: int, unit: str = "text") -> pd.DataFrame:
    """Accuracy of each `unit` (row: a text, or a group's mean) that has every seed (column)."""
    chosen = df[(df["shared"] == shared) & (df["group_size"] == group_size)]
    return chosen.pivot_table(index=unit, columns="seed", values="accuracy").dropna()


def by_group(df: pd.DataFrame, shared: str, size: int) -> pd.DataFrame:
    """What sharing costs each group that is complete, together and alone.

    Columns: `best`, mean accuracy of the group's texts under the one seed that is best for it;
    `mean`, under a seed on average; `alone_best` and `alone_mean`, of the same texts unshared, each
    with its own best seed, and under a seed on average.
    """
    together, alone = by_seed(df, shared, size), by_seed(df, shared, 1)
    chosen = df[(df["shared"] == shared) & (df["group_size"] == size)]
    both = together.index.intersection(alone.index)
    texts = chosen[chosen["text"].isin(both)].groupby("group")["text"].unique()
    rows = {}
    for group, ids in texts[texts.map(len) == size].items():
        seeds, own = together.loc[ids].mean(), alone.loc[ids]
        alone_numbers = own.max(axis=1).mean(), own.mean(axis=None)
        rows[group] = (seeds.max(), seeds.mean(), *alone_numbers)
    columns = ["best", "mean", "alone_best", "alone_mean"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, mean ± standard deviation: ours, then the paper's Table 2.

    `max` takes the best seed of each text and averages over texts; `max, one seed a group` the best
    seed of each group, and averages over groups; `groups held` counts the groups that this brings
    to `HELD`; `avg` averages over seeds and texts.
    """
    theirs = published("sharing").assign(run="paper (Llama-3.2-1B)")
    theirs["cell"] = list(map(spread, theirs["accuracy_mean"], theirs["accuracy_std"]))
    ours = []
    for model, shared, size in df[["model", "shared", "group_size"]].drop_duplicates().to_numpy():
        texts, groups = by_seed(df, shared, size), by_seed(df, shared, size, "group").max(axis=1)
        best, every = mean_std(texts.max(axis=1)), mean_std(texts.stack())
        held = f"{(groups >= HELD).sum()} of {len(groups)}" if len(groups) else "–"
        cells = zip(AGGREGATES, (best, mean_std(groups), held, every), strict=True)
        ours += [(f"ours ({model})", shared, name, size, cell) for name, cell in cells]
    columns = ["run", "shared", "aggregate", "group_size", "cell"]
    both = pd.concat([pd.DataFrame(ours, columns=columns), theirs])
    both["aggregate"] = pd.Categorical(both["aggregate"], AGGREGATES, ordered=True)
    wide = both.pivot(index=["shared", "aggregate"], columns=["run", "group_size"], values="cell")
    wide = wide.rename_axis(columns=["run", "texts in a group"])
    return wide.sort_index().sort_index(axis=1).fillna("–")


def figure(df: pd.DataFrame) -> plots.Figure:
    """Expected accuracy of the best of k seeds against k: a panel a role, a line a group size.

    With markers: one seed for the whole group, with the band of one standard error over groups.
    Dotted, without: the best seed of each text. Hollow: the paper's `avg` at k = 1 and its `max`,
    of the best seed of each text, at k = 10.
    """
    drawn, axes = plots.panels(len(ROLES), height=3, sharey=True)
    theirs = published("sharing")
    styles = plots.line_styles(sorted({*df["group_size"], *theirs["group_size"]}))
    for axis, role in zip(axes, ROLES, strict=True):
        for size, style in styles.items():
            name = f"groups of {size}"
            _best_of_k(axis, by_seed(df, role, size, "group"), style | {"label": name})
            _best_of_k(axis, by_seed(df, role, size), style | {"linestyle": ":", "marker": ""})
            paper = theirs[(theirs["shared"] == role) & (theirs["group_size"] == size)]
            k, look = paper["aggregate"].map(PAPERS_K), (style["marker"], style["color"])
            only_theirs = "" if size in set(df["group_size"]) else name
            plots.paper_marks(axis, k, paper["accuracy_mean"], *look, label=only_theirs)
        plots.paper_marks(axis, [], [], label="paper: Llama-3.2-1B")
        axis.set(xlabel="seeds tried, k", title=f"shared {role}")
        axis.set_xticks([1, *range(2, max(PAPERS_K.values()) + 1, 2)])
    axes[0].set(ylabel="expected best accuracy", ylim=(None, 1.03))
    plots.legend(*axes)
    return drawn


def _best_of_k(axis: plots.Axes, accuracy: pd.DataFrame, style: dict) -> None:
    # Imported late: tables and verdicts do without SciPy's functions.
    from reproducer.analysis.best_of_k import best_of_k

    if accuracy.empty:
        return
    curves = best_of_k(accuracy.to_numpy())  # (n_units, n_seeds)
    k, mean = np.arange(1, curves.shape[1] + 1), curves.mean(0)
    axis.plot(k, mean, **style)
    if len(curves) > 1 and style["marker"]:
        error = curves.std(0, ddof=1) / len(curves) ** 0.5
        axis.fill_between(k, mean - error, mean + error, color=style["color"], alpha=0.15, lw=0)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """For each role: it can be shared, and sharing it takes more seeds."""
    if df.empty or not base.tested(df["model"].iloc[0]):
        return []
    return [said for role in ROLES for said in _claims_on(df, role)]


def _claims_on(df: pd.DataFrame, role: str) -> list[Verdict]:
    size, groups = _largest_groups(df, role)
    held = int((groups["best"] >= HELD).sum())
    losing = int((groups["alone_mean"] - groups["mean"] > LOSS).sum())
    theirs = published("sharing").set_index(["shared", "aggregate", "group_size"]).sort_index()
    best, mean = (theirs.loc[(role, a), "accuracy_mean"] for a in ("max", "avg"))
    common = {"experiment": "sharing", "unit": "groups", "untested": _lacking(df, groups)}
    return [
        verdict(
            df,
            (share_interval(held, len(groups)), MORE_THAN_NOT),
            id=f"A2.share-{role}",
            claim=f"{role} can be shared if enough seeds are tried: share of the groups of {size} "
            f"texts that one of {df['seed'].nunique()} seeds brings to a mean accuracy of {HELD}",
            published=f"{best[256]:.2f} in groups of 256, {best[1]:.2f} alone: accuracy, best seed "
            "of each text",
            **common,
        ),
        verdict(
            df,
            (share_interval(losing, len(groups)), MORE_THAN_NOT),
            id=f"A2.restarts-{role}",
            claim=f"One seed is not enough to share {role}: share of the groups of {size} texts "
            f"whose accuracy, mean over seeds, is more than {LOSS} below that of the same texts "
            "alone",
            published=f"{mean[1] - mean[256]:.2f} below ({mean[256]:.2f} against {mean[1]:.2f}), "
            "mean over groups of 256",
            **common,
        ),
    ]


def _largest_groups(df: pd.DataFrame, role: str) -> tuple[int, pd.DataFrame]:
    """The largest size with enough groups, else the largest; and `by_group` of it."""
    sizes = sorted(set(df.loc[df["group_size"] > 1, "group_size"]), reverse=True) or [0]
    groups = {size: by_group(df, role, size) for size in sizes}
    size = next((size for size in sizes if len(groups[size]) >= MIN_GROUPS), sizes[0])
    return size, groups[size]


def _lacking(df: pd.DataFrame, groups: pd.DataFrame) -> str:
    """What a claim on sharing needs and does not have, or nothing.

    A warm m was fitted to other texts before: beside it, neither a shared e nor a shared m starts
    from nothing, as the paper's do.
    """
    needs = {
        f"{MIN_GROUPS} or more disjoint groups": len(groups) < MIN_GROUPS,
        f"{MIN_SEEDS} or more seeds": df["seed"].nunique() < MIN_SEEDS,
        f"texts of {MIN_TOKENS} or more tokens": df["n_tokens"].max() < MIN_TOKENS,
        "an m that starts cold": bool(df["warm_m"].any()),
        "texts that are held alone": groups["alone_best"].mean() < 0.9,
    }
    return ", ".join(need for need, missing in needs.items() if missing)
