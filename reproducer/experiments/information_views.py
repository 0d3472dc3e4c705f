"""Table, figure and verdicts of the information experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reproducer.analysis.ratios import ratio_of_means
from reproducer.experiments import plots
from reproducer.experiments.base import tested
from reproducer.experiments.trials import NEEDS, enough
from reproducer.experiments.verdicts import Verdict, judge

# (autoregressive, one pass): as many trained vectors of its own for each text on either side.
PAIRS = (("1 mem", "shared m"), ("2 mem", "own m"))


def paired(df: pd.DataFrame, pair: tuple[str, str], quantity: str = "h_lm_nats") -> pd.DataFrame:
    """`quantity` of each text both ways: rows (model, source, text), columns the two ways."""
    chosen = df[df["way"].isin(pair)]
    wide = chosen.pivot_table(index=["model", "source", "text"], columns="way", values=quantity)
    return wide.reindex(columns=list(pair)).dropna()


def _trained(df: pd.DataFrame) -> pd.DataFrame:
    return df[~df["control"].astype(bool)]


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Means over texts for each model, source and pair; the ratio with its 95 % interval.

    The paper gives no table here: its text says about 2, and its figure's points lie between
    1 and 5.
    """
    rows = []
    for pair in PAIRS:
        for (model, source), nats in paired(_trained(df), pair).groupby(level=[0, 1]):
            tokens = paired(df, pair, "held_tokens").loc[(model, source)]
            rows.append(
                {
                    "autoregressive": pair[0],
                    "one pass": pair[1],
                    "model": model,
                    "source": source,
                    "texts": len(nats),
                    "tokens, autoregressive": f"{tokens[pair[0]].mean():.1f}",
                    "tokens, one pass": f"{tokens[pair[1]].mean():.1f}",
                    "nats, autoregressive": f"{nats[pair[0]].mean():.1f}",
                    "nats, one pass": f"{nats[pair[1]].mean():.1f}",
                    "ratio of nats": _ratio_cell(nats, pair),
                    "paper's ratio": "about 2 (1 … 5)",
                }
            )
    return pd.DataFrame(rows)


def _ratio_cell(nats: pd.DataFrame, pair: tuple[str, str]) -> str:
    ratio, low, high = ratio_of_means(nats[pair[0]], nats[pair[1]], paired=True)
    shown = ["–" if np.isnan(x) else "∞" if np.isinf(x) else f"{x:.2f}" for x in (ratio, low, high)]
    return f"{shown[0]} ({shown[1]} … {shown[2]})"


def control_table(df: pd.DataFrame) -> pd.DataFrame:
    """Tokens held, mean over texts, by trained and by untrained weights (`controls`).

    In tokens, because the nats of untrained weights, which find every token equally unlikely,
    say nothing about language.
    """
    weights = np.where(df["control"].astype(bool), "untrained", "trained")
    means = df.assign(weights=weights).pivot_table(
        index=["way", "source"], columns=["weights", "model"], values="held_tokens"
    )
    return means.map(lambda mean: "" if pd.isna(mean) else f"{mean:.1f}")


def figure(df: pd.DataFrame) -> Figure:
    """One-pass `H_LM` against autoregressive `H_LM`: dots are texts, large dots means."""
    made, axes = plots.figure(2)
    trained = _trained(df)
    limit = 1.08 * max(trained["h_lm_nats"].max(), 1.0)
    sources = dict(zip(dict.fromkeys(df["source"]), plots.MARKERS, strict=False))
    for axis, pair in zip(axes, PAIRS, strict=True):
        _lines(axis, limit)
        _dots(axis, paired(trained, pair), pair, sources)
        axis.set(
            xlim=(0, limit),
            ylim=(0, limit),
            xlabel=f"autoregressive after {pair[0].replace('mem', '[mem]')}: $H_{{LM}}$, nats",
            ylabel=f"one pass, {pair[1]}: $H_{{LM}}$, nats",
        )
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        made.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return made


def _lines(axis: Axes, limit: float) -> None:
    for divisor, dash in zip((1, 2, 5), plots.DASHES, strict=False):
        axis.plot([0, limit], [0, limit / divisor], color="#888888", lw=0.9, ls=dash, zorder=0)
        name = "y = x" if divisor == 1 else f"y = x/{divisor}"
        axis.annotate(name, (0.8 * limit, 0.8 * limit / divisor), (-4, 4), fontsize=8, ha="right",
                      textcoords="offset points")  # fmt: skip


def _dots(axis: Axes, nats: pd.DataFrame, pair: tuple[str, str], markers: dict) -> None:
    for (model, source), texts in nats.groupby(level=[0, 1]):
        colour = plots.MODEL_COLOURS.get(model, "#777777")
        style = {"color": colour, "marker": markers[source], "clip_on": False}
        x, y = texts[pair[0]], texts[pair[1]]
        axis.scatter(x, y, s=16, alpha=0.5, lw=0, **style)
        axis.scatter(
            x.mean(), y.mean(), s=110, edgecolor="black", label=f"{model}, {source}", **style
        )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """The ratio for one and for two vectors, and the untrained control."""
    trained = _trained(df) if len(df) else df
    if trained.empty or not tested(trained["model"].iloc[0]):
        return []
    return [_ratio(trained, pair) for pair in PAIRS] + _control(df)


def _ratio(trained: pd.DataFrame, pair: tuple[str, str]) -> Verdict:
    nats = paired(trained, pair)
    sides = [trained[trained["way"] == way] for way in pair]
    n_vectors = pair[0].split()[0]
    return _verdict(
        trained,
        nats,
        all(len(side) and enough(side) for side in sides),
        lambda r: 1 <= r <= 5,
        id=f"A4.ratio-{n_vectors}",
        claim=f"Autoregressive decoding after {n_vectors} [mem] holds more information than one "
        f"pass with {pair[1]}: ratio of nats",
        published="about 2 (1 to 5)",
        criterion=f"ratio of means over texts between 1 and 5, whole interval; {NEEDS}",
    )


def _control(df: pd.DataFrame) -> list[Verdict]:
    own = df[df["way"] == "own m"]
    is_control = own["control"].astype(bool)
    untrained, trained = own[is_control], own[~is_control]
    trained = trained[trained["model"].isin(untrained["model"].str.removeprefix("random:"))]
    if untrained.empty or trained.empty:
        return []
    tokens = pd.DataFrame(
        {
            "untrained": untrained.set_index(["source", "text"])["held_tokens"],
            "trained": trained.set_index(["source", "text"])["held_tokens"],
        }
    ).dropna()
    verdict = _verdict(
        trained,
        tokens,
        enough(trained),
        lambda r: r < 0.5,
        id="A4.control",
        claim="Capacity comes with language training, not with the architecture: tokens held with "
        "own m, untrained over trained weights",
        published="not run",
        criterion=f"ratio of means over texts below 0.5, whole interval; {NEEDS}",
    )
    return [verdict]


def _verdict(df: pd.DataFrame, pairs: pd.DataFrame, scale: bool, holds, **fields) -> Verdict:
    """A verdict on the ratio of the two columns of `pairs`, where it and its interval exist."""
    numbers, verdict = (None, None, None), "not tested at this scale"
    if len(pairs):
        found = ratio_of_means(*(pairs[column] for column in pairs), paired=True)
        if np.isfinite(found).all():
            numbers = found
            verdict = judge(*numbers[1:], holds) if scale else verdict
    return Verdict(
        experiment="information",
        **dict(zip(("ours", "low", "high"), numbers, strict=True)),
        n=df["text"].nunique(),
        model=", ".join(dict.fromkeys(df["model"])),
        profile=df["profile"].iloc[0],
        verdict=verdict,
        **fields,
    )
