"""A7, A8: tables, figures and the note of the page on distances."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.experiments import plots
from reproducer.experiments.distances_claims import (
    DIFFERENT,
    GROUPS,
    MEASURES,
    SAME_CONTEXT,
    SAME_TEXT,
    effects,
    regressions,
)

N_BINS = 8
DENSITY_PAIRS = 5000


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Mean distance of each group: one row for each way of sharing and kind of proto-token."""
    groups = df.groupby(["share", "role", "group"])["distance"]
    cells = groups.agg(lambda d: f"{d.mean():.3f} ± {d.std(ddof=0):.3f} ({len(d)} pairs)")
    wide = cells.unstack("group")
    return wide[[g for g in GROUPS if g in wide]].fillna("")


def effect_table(df: pd.DataFrame) -> pd.DataFrame:
    """The effects with 95 % bootstrap intervals over contexts."""
    rows = {}
    for keys, group in effects(df).groupby(["share", "role", "nearer", "farther"], sort=False):
        cells = {"contexts": len(group)}
        for name in ("chance", "gap"):
            centre, low, high = bootstrap_interval(group[name])
            cells[name] = f"{centre:.3f} [{low:.3f}, {high:.3f}]"
        rows[keys] = cells
    made = pd.DataFrame.from_dict(rows, orient="index")
    made.index.names = ["share", "role", "nearer", "farther"]
    return made


def regression_table(df: pd.DataFrame) -> pd.DataFrame:
    """Coefficients with 95 % intervals, errors clustered by the contexts of both texts."""
    rows = []
    for (share, role, measure), fitted in regressions(df).items():
        cells = {"share": share, "role": role, "text distance": MEASURES[measure]}
        for title, term in (
            ("per unit of text distance", measure),
            ("same context", "same_context"),
        ):
            centre, low, high = fitted.interval(term)
            cells[title] = f"{centre:+.3f} [{low:+.3f}, {high:+.3f}]"
        rows.append(cells | {"contexts": fitted.n_contexts, "pairs": fitted.n_pairs})
    return pd.DataFrame(rows)


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was compared, and what was left out."""
    if df.empty:
        return "No result of this profile is stored."
    first = df.iloc[0]
    return (
        f"Computed with {first['model']} on {first['device']}, profile {first['profile']}: "
        f"{df['context_a'].nunique()} contexts, texts of {first['n_tokens']} tokens, "
        f"recipe {first['recipe']}. "
        f"{first['counts'].capitalize()}."
    )


def figure(df: pd.DataFrame) -> Figure:
    """Densities of the cosine distance in the three groups, a panel for each share and role."""
    panels = list(df.groupby(["share", "role"]))
    made, axes = plots.figure(len(panels), squeeze=False)
    styles = plots.line_styles(GROUPS)
    for axis, ((share, role), pairs) in zip(axes[0], panels, strict=True):
        for name, style in styles.items():
            _density(axis, pairs[pairs["group"] == name]["distance"], name, style)
        axis.set(xlabel=f"cosine distance between {role}", title=_title(share, role))
    axes[0, 0].set_ylabel("density")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return made


def _density(axis: Axes, distances: pd.Series, name: str, style: dict) -> None:
    """A kernel density, or a mark for each pair where there are too few for one."""
    line = {"color": style["color"], "linestyle": style["linestyle"]}
    values = distances.sample(min(len(distances), DENSITY_PAIRS), random_state=0).to_numpy()
    if len(values) < 3 or np.ptp(values) < 1e-9:
        axis.plot(values, np.zeros(len(values)), style["marker"], color=style["color"], label=name)
        return
    pad = 0.1 * np.ptp(values)
    grid = np.linspace(values.min() - pad, values.max() + pad, 200)
    density = stats.gaussian_kde(values)(grid)
    axis.plot(grid, density, label=f"{name} ({len(distances)} pairs)", **line)
    axis.fill_between(grid, density, color=style["color"], alpha=0.12, lw=0)


def binned_figure(df: pd.DataFrame) -> Figure:
    """Distance of solutions against distance of texts: binned means, same context or not.

    A row of panels for each share and role, a column for each text distance. Bars are one
    standard error over contexts.
    """
    rows = list(df[df["group"] != SAME_TEXT].groupby(["share", "role"]))
    made, axes = plots.figure(
        len(MEASURES), len(rows), squeeze=False, sharey="row", figsize=(8.8, 3.2 * len(rows))
    )
    styles = plots.line_styles(GROUPS)
    for panels, ((share, role), pairs) in zip(axes, rows, strict=True):
        for axis, (measure, title) in zip(panels, MEASURES.items(), strict=True):
            for name in (SAME_CONTEXT, DIFFERENT):
                bins = binned(pairs[pairs["group"] == name], measure)
                axis.errorbar(
                    bins["centre"],
                    bins["mean"],
                    bins["error"],
                    label=name,
                    capsize=2,
                    **styles[name],
                )
            axis.set(xlabel=f"{title} distance of the texts", title=_title(share, role))
        panels[0].set_ylabel(f"cosine distance between {role}")
    axes[0, 0].legend()
    return made


def binned(pairs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Means of `distance` in equal bins of `measure` over 0 … its maximum: centre, mean, error.

    The mean is over contexts' means, `error` its standard error; a pair of two contexts counts
    for its first.
    """
    top = max(float(pairs[measure].max()), 1e-9)
    edges = np.linspace(0, top, N_BINS + 1)
    number = np.clip(np.digitize(pairs[measure], edges) - 1, 0, N_BINS - 1)
    by_context = pairs.groupby([number, "context_a"])["distance"].mean()
    bins = by_context.groupby(level=0).agg(["mean", "sem"]).fillna({"sem": 0.0})
    centre = (edges[:-1] + edges[1:])[bins.index] / 2
    return bins.rename(columns={"sem": "error"}).assign(centre=centre)


def _title(share: str, role: str) -> str:
    return f"{role}, {'shared' if share == 'm' else 'own'} m"
