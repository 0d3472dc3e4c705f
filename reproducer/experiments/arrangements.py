"""A1: in which order should the proto-tokens stand? (Mezentsev & Oseledets, Table 1)

Five arrangements of two vectors, fitted to prefixes of natural text. The papers find that one
vector alone fails beyond a single token and that `[e] [m]x(N-1)` is best. We add a sixth, which
leaves the first position to an `m`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.experiments import plots
from reproducer.experiments.base import fit, fit_frame, tested, texts_of
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.readings.first_position import INPUTS, PositionSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec
from reproducer.solver.arrangements import ARRANGEMENTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPERS_CHOICE = "[e] [m]x(N-1)"
ONE_TOKEN = "[e]xN"
OURS, WITHOUT = "[m] [e] [m]xN", "[e] [m]xN"
COMPARED = (ONE_TOKEN, "[e]x(N/2) [m]x(N/2)", "[e m]x(N/2)", WITHOUT, PAPERS_CHOICE, OURS)


class Params(ExperimentParams):
    """`lengths`: numbers of tokens N; `arrangements`: names of `ARRANGEMENTS`."""

    lengths: tuple[int, ...] = Field((1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024), min_length=1)
    arrangements: tuple[str, ...] = Field(COMPARED, min_length=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits, and how much of its input each position of the model holds."""
    return [*fits(params), PositionSpec(model=params.model)]


def fits(params: Params) -> list[FitSpec]:
    """One fit for each length, arrangement and text."""
    texts = texts_of(params, max(params.lengths))
    return [
        fit(params, [text.prefix(n_tokens)], arrangement=name)
        for n_tokens in params.lengths
        for name in params.arrangements
        for text in texts
    ]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fit; see `reproducer.experiments.base.fit_frame`."""
    return fit_frame(known.all(fits(params)), params)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, mean ± standard deviation over texts: ours, then the paper's Table 1."""
    theirs = published("arrangements").assign(run="paper (Llama-3.2-1B)")
    shown = theirs.apply(
        lambda r: f"{r.accuracy_mean:.2f}\u00a0±\u00a0{r.accuracy_std:.2f}", axis=1
    )
    theirs = theirs.assign(cell=shown)
    groups = df.groupby(["arrangement", "n_tokens"])["accuracy"]
    ours = groups.agg(["mean", lambda a: a.std(ddof=0)]).set_axis(["mean", "std"], axis=1)
    cells = ours.apply(lambda r: f"{r['mean']:.2f}\u00a0±\u00a0{r['std']:.2f}", axis=1)
    ours = cells.rename("cell").reset_index().assign(run=f"ours ({df['model'].iloc[0]})")
    both = pd.concat([ours, theirs])[["run", "arrangement", "n_tokens", "cell"]]
    wide = both.pivot(index="arrangement", columns=["run", "n_tokens"], values="cell")
    order = [name for name in ARRANGEMENTS if name in wide.index]
    return wide.loc[order].sort_index(axis=1).fillna("")


def figure(df: pd.DataFrame) -> Figure:
    """Accuracy against N, a line for each arrangement, with the band of one standard error."""
    drawn, axis = plots.figure()
    names = [name for name in ARRANGEMENTS if name in set(df["arrangement"])]
    for name, style in plots.line_styles(names).items():
        groups = df[df["arrangement"] == name].groupby("n_tokens")["accuracy"]
        mean, error = groups.mean(), groups.sem().fillna(0)
        axis.plot(mean.index, mean, label=name, **style)
        axis.fill_between(
            mean.index, mean - error, mean + error, color=style["color"], alpha=0.15, lw=0
        )
    plots.powers_axis(axis, df["n_tokens"])
    axis.set(xlabel="tokens N", ylabel="accuracy", ylim=(-0.03, 1.05))
    axis.legend(title="arrangement", loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def positions(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy by position at the longest N: rows arrangements, columns positions 1 … N."""
    longest = df[df["n_tokens"] == df["n_tokens"].max()]
    means = {
        name: np.mean(rows["correct"].tolist(), axis=0)
        for name, rows in longest.groupby("arrangement")
    }
    order = [name for name in ARRANGEMENTS if name in means]
    frame = pd.DataFrame(means).T.loc[order]
    return frame.set_axis(range(1, frame.shape[1] + 1), axis=1).rename_axis("arrangement")


def position_figure(df: pd.DataFrame) -> Figure:
    """Accuracy by position at the longest N, for the arrangements with a single `e`."""
    drawn, axis = plots.figure()
    by_position = positions(df)
    single = [name for name in (PAPERS_CHOICE, WITHOUT, OURS) if name in by_position.index]
    for name, style in plots.line_styles(single).items():
        axis.plot(by_position.columns, by_position.loc[name], label=name, **style)
    n_texts = df["text"].nunique()
    axis.set(
        xlabel="position of the predicted token",
        ylabel=f"share of {n_texts} texts right",
        ylim=(-0.03, 1.05),
        xticks=by_position.columns[:: max(1, len(by_position.columns) // 16)],
    )
    axis.legend(title="arrangement")
    return drawn


def first_position(params: Params, known: Known | None = None) -> Result | None:
    """What the positions of the model hold, if it is known; see `PositionSpec`."""
    return (known or Known()).get(PositionSpec(model=params.model))


def position_table(result: Result) -> pd.DataFrame:
    """In the middle layer, for each position: norm and likeness, for both kinds of input."""
    middle = len(result.arrays["normal_norm"]) // 2
    columns = {
        f"{what}, {label}": result.arrays[f"{kind}_{name}"][middle]
        for kind, label in INPUTS.items()
        for what, name in (("norm", "norm"), ("cosine between draws", "alike"))
    }
    rows = pd.RangeIndex(1, 1 + result.spec["n_inputs"], name=f"position, after layer {middle}")
    return pd.DataFrame(columns, index=rows)


def sink_figure(result: Result) -> Figure:
    """Norm and likeness of normal inputs by layer, a line for each position."""
    drawn, axes = plots.figure(2)
    norm, alike = (result.arrays[f"normal_{name}"]for name in ("norm", "alike"))
    layers = np.arange(len(norm))
    for position, style in plots.line_styles(range(norm.shape[1])).items():
        style = style | {"markevery": max(1, len(layers) // 8), "label": position + 1}
        axes[0].plot(layers, norm[:, position], **style)
        axes[1].plot(layers, alike[:, position], **style)
    axes[0].set(xlabel="layer", ylabel="norm of the state", yscale="log")
    axes[1].set(xlabel="layer", ylabel="cosine between draws", ylim=(-0.05, 1.05))
    axes[1].legend(title="position")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The verdicts on Table 1: one token fails; `[e] [m]x(N-1)` is best. Then our own."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    return [_one_token_fails(df), _papers_choice_is_best(df), _m_in_front_helps(df)]


def _one_token_fails(df: pd.DataFrame) -> Verdict:
    alone = df[df["arrangement"] == ONE_TOKEN]
    by_text = alone.pivot_table(index="text", columns="n_tokens", values="accuracy")
    longest = df["n_tokens"].max()
    scale = longest >= 4 and 1 in by_text
    return verdict_on(
        df,
        bootstrap_interval(by_text[1] - by_text[longest]) if scale else (None, None, None),
        lambda drop: drop > 0.5,
        scale,
        experiment="arrangements",
        n=df["text"].nunique(),
        id="A1.one-token",
        claim="One vector alone holds one token and no more: accuracy of "
        f"{ONE_TOKEN} at N = 1 minus that at N = {longest}",
        published="0.83 at N = 4 (1.00 against 0.17), 0.99 at N = 256",
        criterion="paired difference above 0.5, whole interval; needs N = 1 and N of 4 or more",
    )


def _papers_choice_is_best(df: pd.DataFrame) -> Verdict:
    wide = _from_four_tokens(df)
    rivals = wide.drop(columns=[PAPERS_CHOICE, OURS], errors="ignore")
    best = "any other" if rivals.empty else rivals.mean().idxmax()
    gaps = _gaps(wide, PAPERS_CHOICE, best)
    scale = len(gaps) > 0
    return verdict_on(
        df,
        bootstrap_interval(gaps) if scale else (None, None, None),
        lambda difference: difference > -0.02,
        scale,
        experiment="arrangements",
        n=df["text"].nunique(),
        id="A1.best",
        claim=f"{PAPERS_CHOICE} is the best of the paper's arrangements: its accuracy minus that "
        f"of {best}",
        published="+0.02 at N = 256 (0.99 against 0.97)",
        criterion="paired difference of accuracy, mean over N of 4 or more, from the best other "
        "arrangement: above -0.02, whole interval",
    )


def _m_in_front_helps(df: pd.DataFrame) -> Verdict:
    gaps = _gaps(_from_four_tokens(df), OURS, WITHOUT)
    scale = len(gaps) > 0
    return verdict_on(
        df,
        bootstrap_interval(gaps) if scale else (None, None, None),
        lambda difference: difference > 0.02,
        scale,
        experiment="arrangements",
        n=df["text"].nunique(),
        id="A1.m-in-front",
        claim=f"An m in front of e helps: accuracy of {OURS} minus that of {WITHOUT}",
        published="not in the papers",
        criterion="paired difference of accuracy, mean over N of 4 or more: above 0.02, whole "
        "interval",
    )


def _from_four_tokens(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each text and N of 4 or more (row) under each arrangement (column)."""
    longer = df[df["n_tokens"] >= 4]
    return longer.pivot_table(index=["text", "n_tokens"], columns="arrangement", values="accuracy")


def _gaps(wide: pd.DataFrame, one: str, other: str) -> pd.Series:
    """Accuracy of one arrangement minus the other, mean over the N where both are, by text."""
    if not {one, other} <= set(wide.columns):
        return pd.Series(dtype=float)
    return (wide[one] - wide[other]).dropna().groupby("text").mean()
