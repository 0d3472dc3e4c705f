"""Tables and figures of B5 and B6 (Bondarenko et al., Figs 7–13)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from reproducer.analysis.matrices import bootstrap_correlations, interval, pair_correlation
from reproducer.experiments import plots
from reproducer.experiments.semantic_regularizers_claims import MIN_BATCHES
from reproducer.solver.penalties import cosine_matrix


def anchored(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of B5."""
    return df[df["term"] == "anchor"]


def related(df: pd.DataFrame) -> pd.DataFrame:
    """The rows of B6, with the setting's name, e.g. `mse × 10`."""
    some = df[df["term"] != "anchor"]
    names = some["term"] + some["weight"].map(lambda w: f" × {w:g}" if w else "")
    return some.assign(setting=names)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """B5: mean accuracy by length, and the final cosine with the teacher, by start and weight."""
    some = anchored(df)
    accuracy = some.pivot_table(index=["start", "weight"], columns="n_tokens", values="accuracy")
    accuracy.columns = [f"accuracy, N = {n}" for n in accuracy.columns]
    cosine = some.groupby(["start", "weight"])["agreement"].mean()
    return accuracy.assign(**{"cosine with the teacher": cosine}).round(3)


def relational_table(df: pd.DataFrame) -> pd.DataFrame:
    """B6: accuracy, and correlation with the teacher's cosines within and between batches.

    Within: mean over batches. Between: over pairs of texts from different batches, with a
    95 % interval over batches where there are enough of them for one.
    """
    rows = {}
    for (share, setting), some in related(df).groupby(["share", "setting"], sort=False):
        within = some.groupby("batch")["agreement"].first().mean()
        between = between_batches(some)
        low, high = interval(between[1:])
        reach = "" if np.isnan(between[0]) else f"{between[0]:.2f}"
        if some["batch"].nunique() >= MIN_BATCHES:
            reach += f" ({low:.2f} … {high:.2f})"
        rows["own m" if share == "none" else "shared m", setting] = {
            "accuracy": f"{some['accuracy'].mean():.2f}",
            "correlation within batches": f"{within:.2f}",
            "between batches": reach,
        }
    return pd.DataFrame(rows).T.rename_axis(["m", "term"])


def between_batches(some: pd.DataFrame) -> np.ndarray:
    """Correlation over pairs from different batches, then its bootstrap draws over batches."""
    batches = some["batch"].to_numpy()
    apart = batches[:, None] != batches
    ours, theirs = (
        cosine_matrix(torch.tensor(np.stack(some[column].to_list()))).numpy()
        for column in ("e", "teacher")
    )
    if not apart.any():
        return np.full(2, np.nan)
    draws = bootstrap_correlations(ours, theirs, batches, apart)
    return np.concatenate([[pair_correlation(ours, theirs, apart)], draws])


def figure(df: pd.DataFrame) -> Figure:
    """B5: accuracy against length, cosine against step, and one against the other."""
    some = anchored(df)
    made, axes = plots.figure(3, figsize=(13, 3.8))
    starts = dict(zip(some["start"].unique(), ("-", ":"), strict=False))
    for weight, style in plots.line_styles(sorted(some["weight"].unique())).items():
        for start, dash in starts.items():
            cell = some[(some["weight"] == weight) & (some["start"] == start)]
            look = style | {"linestyle": dash, "label": f"{weight:g}, {start}"}
            by_length = cell.groupby("n_tokens")["accuracy"].mean()
            axes[0].plot(by_length.index, by_length, **look)
            axes[1].plot(_mean_trace(cell["trace"]), **look | {"marker": ""})
            axes[2].scatter(
                cell["agreement"].mean(),
                cell["accuracy"].mean(),
                color=style["color"],
                marker=style["marker"],
                facecolor=style["color"] if dash == "-" else "none",
                label=f"{weight:g}, {start}",
            )
    plots.powers_axis(axes[0], some["n_tokens"])
    axes[0].set(xlabel="tokens N", ylabel="accuracy", ylim=(-0.03, 1.05))
    axes[1].set(xlabel="step", ylabel="cosine of e and teacher")
    axes[2].set(xlabel="cosine of e and teacher", ylabel="accuracy", ylim=(-0.03, 1.05))
    axes[2].legend(title="weight, start of e", loc="upper left", bbox_to_anchor=(1, 1))
    return made


def relational_figure(df: pd.DataFrame) -> Figure:
    """B6: correlation with the teacher's cosines by step, and the distribution of accuracy."""
    some = related(df)
    shares = some["share"].unique()
    made, axes = plots.figure(2, len(shares), figsize=(10, 3.6 * len(shares)), squeeze=False)
    for row, share in zip(axes, shares, strict=True):
        own = some[some["share"] == share]
        styles = plots.line_styles(own["setting"].unique())
        for place, (setting, style) in enumerate(styles.items()):
            cell = own[own["setting"] == setting]
            traces = cell.groupby("batch")["trace"].first()
            for trace in traces:
                row[0].plot(trace, color=style["color"], lw=0.5, alpha=0.35)
            row[0].plot(_mean_trace(traces), label=setting, **style | {"marker": ""})
            row[1].boxplot(cell["accuracy"], positions=[place], widths=0.6)
        name = "own m" if share == "none" else "shared m"
        row[0].set(xlabel="step", ylabel="correlation in a batch", title=name)
        row[1].set(ylabel="accuracy of a text", ylim=(-0.03, 1.05), title=name)
        row[1].set_xticks(range(len(styles)), styles, rotation=20)
    axes[0, 0].legend(title="term × weight")
    return made


def _mean_trace(traces: pd.Series) -> np.ndarray:
    """Mean over fits by step; a fit that stopped keeps its last value."""
    longest = max(len(trace) for trace in traces)
    return np.mean([np.pad(t, (0, longest - len(t)), mode="edge") for t in traces], axis=0)
