"""B2: how much noise does a proto-token bear? (Bondarenko et al., Fig 4)

Noise of four kinds is added to a solution, `ε/‖ε‖ · α‖v‖`, and the text is read again in one
pass, in float32. The paper perturbs `e`; we perturb `m` too. Accuracy should fall smoothly
with α, and alike for all kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.experiments import attention, plots
from reproducer.experiments.base import fit_frame, tested, with_readings
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.readings.noise import NOISES, NoiseSpec, halving_alpha
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec
from reproducer.results.vectors import solved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_TEXTS = 5


class Params(attention.Params):
    """`alphas`: noise-to-signal ratios, ascending from 0; `n_draws`: noise vectors of a kind."""

    tokens: tuple[Literal["e", "m"], ...] = Field(("e", "m"), min_length=1)
    noises: tuple[Literal[*NOISES], ...] = NOISES
    alphas: tuple[float, ...] = Field((0.0, 0.05, 0.1, 0.2, 0.5, 1.0), min_length=2)
    n_draws: int = Field(10, ge=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits of `attention`, and for each a reading by token and kind of noise."""
    return [*attention.fits(params), *readings(params)]


def readings(params: Params) -> list[NoiseSpec]:
    """Each of the fits under each kind of noise on each token."""
    return [
        NoiseSpec(
            model=spec.model,
            fit=spec,
            token=token,
            noise=noise,
            alphas=params.alphas,
            n_draws=params.n_draws,
        )
        for spec in attention.fits(params)
        for token in params.tokens
        for noise in params.noises
    ]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each text, token, noise, α and draw: `noisy_accuracy`, after `fit_frame`."""
    pairs = with_readings(readings(params), known)
    if not pairs:
        return pd.DataFrame()
    fits = fit_frame({fitted.key: fitted for fitted, _ in pairs}.values(), params)
    noisy = pd.DataFrame([row for pair in pairs for row in _rows(*pair)])
    return fits.merge(noisy, on="key").assign(min_accuracy=params.min_accuracy)


def _rows(fitted: Result, reading: Result) -> list[dict]:
    spec, accuracy = reading.spec, reading.arrays["accuracy"].astype(float)
    fixed = {"key": fitted.key, "token": spec["token"], "noise": spec["noise"]}
    return [
        {**fixed, "alpha": alpha, "draw": draw, "noisy_accuracy": value}
        for alpha, values in zip(spec["alphas"], accuracy, strict=True)
        for draw, value in enumerate(values)
    ]


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """Rows of solved texts; raises if there are none."""
    return solved(df, df["min_accuracy"].iloc[0])


def curves(df: pd.DataFrame, token: str, noise: str) -> pd.DataFrame:
    """Accuracy, mean over draws: rows texts, columns α."""
    some = df[(df["token"] == token) & (df["noise"] == noise)]
    return some.pivot_table(index="text", columns="alpha", values="noisy_accuracy")


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, mean over texts and draws, and the α at which it halves (quartiles of texts)."""
    good, shown_rows = usable(df), {}
    for token in good["token"].unique():
        for noise in good["noise"].unique():
            by_text = curves(good, token, noise)
            halves = [halving_alpha([*by_text], row.tolist()) for _, row in by_text.iterrows()]
            low, middle, high = np.quantile(halves, [0.25, 0.5, 0.75], method="nearest")
            shown = {f"α = {alpha:g}": f"{mean:.2f}" for alpha, mean in by_text.mean().items()}
            halving = f"{middle:.2f} ({low:.2f} … {high:.2f})".replace("inf", "beyond")
            shown_rows[token, noise] = shown | {"halves at α": halving}
    return pd.DataFrame(shown_rows).T.rename_axis(["token", "noise"])


def figure(df: pd.DataFrame) -> Figure:
    """Accuracy against α, mean and middle half over texts and draws; a panel for `e` and `m`."""
    good = usable(df)
    tokens = [token for token in ("e", "m") if token in set(good["token"])]
    drawn, axes = plots.figure(len(tokens), sharey=True, squeeze=False)
    for axis, token in zip(axes[0], tokens, strict=True):
        some = good[good["token"] == token]
        for noise, style in plots.line_styles(some["noise"].unique()).items():
            groups = some[some["noise"] == noise].groupby("alpha")["noisy_accuracy"]
            mean = groups.mean()
            axis.plot(mean.index, mean, label=noise, **style)
            band = groups.quantile(0.25), groups.quantile(0.75)
            axis.fill_between(mean.index, *band, color=style["color"], alpha=0.12, lw=0)
        axis.set(xlabel=f"noise ratio α, on {token}", title=f"noise on {token}", ylim=(-0.03, 1.05))
    axes[0, 0].set_ylabel("accuracy")
    axes[0, -1].legend(title="noise")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Accuracy falls smoothly with noise on `e`, and alike for all kinds."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    good = df[(df["accuracy"] >= df["min_accuracy"]) & (df["token"] == "e")]
    kinds = [curves(good, "e", noise).to_numpy() for noise in df["noise"].unique()]
    accuracy = np.stack(kinds) if len(good) else np.empty((1, 0, 2))  # (noises, texts, alphas)
    needs = f"whole interval; needs {MIN_TEXTS} solved texts"
    return [
        _verdict(
            df,
            accuracy,
            _largest_drop,
            0.5,
            id="B2.smooth",
            claim="Noise on e degrades smoothly: largest drop between neighbouring α, as a share "
            "of the clean accuracy",
            published="smooth (figure, no number)",
            criterion=f"below 0.5, {needs}",
        ),
        _verdict(
            df,
            accuracy,
            _spread_of_kinds,
            0.1,
            id="B2.alike",
            claim="All four kinds of noise act alike: largest minus smallest accuracy, mean over α",
            published="alike (figure, no number)",
            criterion=f"below 0.1, {needs}",
        ),
    ]


def _largest_drop(accuracy: np.ndarray) -> float:
    mean = accuracy.mean((0, 1))
    return float(-np.diff(mean).min() / max(mean[0], 1e-9))


def _spread_of_kinds(accuracy: np.ndarray) -> float:
    return float(np.ptp(accuracy[..., 1:].mean((1, 2))))


def _verdict(df: pd.DataFrame, accuracy: np.ndarray, statistic, below: float, **fields) -> Verdict:
    n = accuracy.shape[1]
    numbers = (None, None, None)
    if n:
        numbers = bootstrap_interval(
            np.arange(n), lambda texts: statistic(accuracy[:, texts.astype(int)])
        )
    fields |= {"experiment": "noise", "n": n}
    return verdict_on(df, numbers, lambda d: d < below, n >= MIN_TEXTS, **fields)
