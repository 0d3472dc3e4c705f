"""B2: how much noise does a proto-token bear? (Bondarenko et al., Fig 4)

Noise of four kinds is added to a solution, `ε/‖ε‖ · α‖v‖`, and the text is read again in one
pass, in float32. The paper perturbs `e`; we perturb `m` too. Accuracy should fall smoothly
with α, and alike for all kinds. A draw keeps its direction for all α and so gives a path, and
smoothness is judged path by path: a mean over cliffs at different α looks smooth.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from reproducer.analysis.intervals import mean_interval
from reproducer.analysis.spreads import spread_interval
from reproducer.experiments import attention, plots
from reproducer.experiments.base import Protocol, fit_frame, with_readings
from reproducer.experiments.cells import number
from reproducer.experiments.claims import Verdict, below, verdict
from reproducer.readings.noise import NOISES, NoiseSpec, halving_alpha
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPERS_ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)
STEP = 0.05  # the smallest step of the paper's figure
LEVELS = (0.75, 0.5, 0.25)  # of the clean accuracy; near 1 and near 0 all kinds are alike
NEAR = 0.125  # half of what the levels are apart
MARGIN = below(0.1, "a tenth of the tokens")
GRADUAL = below(0.2, "four paths in five fall gradually")
NOTHING = "no solved text"
PROTOCOL = Protocol(
    paper="Noise of four kinds on e, scaled to a ratio α of 0, 0.05, 0.1, 0.2, 0.5 and 1; mean "
    "accuracy against α in a figure, described as smooth and as alike for all kinds.",
    ours="The same noise, on e and on m, over evenly spaced α. A draw keeps its direction for all "
    "α. Smoothness is judged on each path by its largest loss within one step of the paper's "
    "figure; likeness where three quarters, half and a quarter of the accuracy are left.",
    why="Means over paths are smooth even if each path falls off a cliff, wide steps hide where "
    "accuracy falls, and at both ends of the scale all kinds are alike for want of room.",
)


class Params(attention.Params):
    """`alphas`: noise-to-signal ratios, ascending from 0; `n_draws`: noise vectors of a kind."""

    tokens: tuple[Literal["e", "m"], ...] = Field(("e", "m"), min_length=1)
    noises: tuple[Literal[*NOISES], ...] = Field(NOISES, min_length=1)
    alphas: tuple[float, ...] = Field(tuple(k / 40 for k in range(41)), min_length=2)
    n_draws: int = Field(10, ge=1)

    @field_validator("alphas")
    @classmethod
    def _ascend_from_zero(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if alphas[0] != 0 or any(a >= b for a, b in pairwise(alphas)):
            raise ValueError("expected alphas that ascend from 0")
        return alphas


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits of `attention`, and for each a reading by token and kind of noise."""
    return [*attention.fits(params), *readings(params)]


def readings(params: Params) -> list[NoiseSpec]:
    """Each of the fits under each kind of noise on each token."""
    tried = {"alphas": params.alphas, "n_draws": params.n_draws}
    return [
        NoiseSpec(model=spec.model, fit=spec, token=token, noise=noise, **tried)
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
    noisy = pd.concat([_noisy(*pair) for pair in pairs])
    return fits.merge(noisy, on="key").assign(min_accuracy=params.min_accuracy)


def _noisy(fitted: Result, reading: Result) -> pd.DataFrame:
    accuracy = reading.arrays["accuracy"].astype(float)  # (n_alphas, n_draws)
    alphas, draws = np.array(reading.spec["alphas"]), np.arange(accuracy.shape[1])
    columns = {
        "key": fitted.key,
        "token": reading.spec["token"],
        "noise": reading.spec["noise"],
        "alpha": alphas.repeat(len(draws)),
        "draw": np.tile(draws, len(alphas)),
        "noisy_accuracy": accuracy.ravel(),
    }
    return pd.DataFrame(columns)


def paths(df: pd.DataFrame, token: str) -> pd.DataFrame:
    """Accuracy of solved texts as a share of the clean one: rows (noise, text, draw), columns α."""
    good = attention.usable(df)
    good = good[(good["token"] == token) & (good["accuracy"] > 0)]
    left = good.assign(left=good["noisy_accuracy"] / good["accuracy"])
    return left.pivot_table(index=["noise", "text", "draw"], columns="alpha", values="left")


def largest_losses(left: pd.DataFrame) -> pd.Series:
    """Of each of `paths` that is whole, the largest loss from one α to one at most `STEP` higher.

    Of none, if two neighbouring α lie farther apart: a loss between them would not be seen.
    """
    if len(left.columns) < 2 or np.diff(left.columns).max() > STEP + 1e-9:
        return pd.Series(index=left.index[:0], dtype=float)
    steps = [(a, b) for a, b in combinations(left.columns, 2) if b - a <= STEP + 1e-9]
    losses = [(left[a] - left[b]).rename(f"{a} to {b}") for a, b in steps]
    return pd.concat(losses, axis=1).dropna().max(axis=1)


def cliffs(left: pd.DataFrame) -> pd.Series:
    """Whether a path loses more than half of the clean accuracy within `STEP`, as 0 or 1."""
    return (largest_losses(left) > 0.5 + 1e-9).astype(float)


def by_text(left: pd.DataFrame) -> pd.DataFrame:
    """Mean over draws of `paths`: rows (noise, text), columns α."""
    return left.groupby(level=["noise", "text"]).mean()


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Share of the accuracy left, mean over texts and draws, by kind of noise and α.

    Beside it the α at which it halves (median and quartiles of texts), and the share of paths that
    lose more than half of it within 0.05, if no step of α is wider; below each token's kinds, how
    far they lie apart.
    """
    cells = {}
    for token in ("e", "m"):
        left = paths(df, token)
        kinds = left.index.unique("noise")
        shown = [a for a in left.columns if np.isclose(a, PAPERS_ALPHAS).any()]
        means = by_text(left)[shown].rename(columns="α = {:g}".format).groupby(level="noise").mean()
        for noise in kinds:
            halving = _halving(by_text(left).loc[noise])
            steep = number(cliffs(left.loc[[noise]]).mean())
            row = means.loc[noise].map(number).to_dict()
            cells[token, noise] = row | {"halves at α": halving, "cliffs": steep}
        if len(kinds) > 1:
            apart = means.max() - means.min()
            cells[token, "largest − smallest"] = apart.map(number).to_dict()
    if not cells:
        return pd.DataFrame("–", index=[NOTHING], columns=["halves at α", "cliffs"])
    return pd.DataFrame(cells).T.rename_axis(["token", "noise"]).fillna("–")


def _halving(means: pd.DataFrame) -> str:
    """Median and quartiles over texts (rows) of the α at which half is left."""
    rows = (row.dropna() for _, row in means.iterrows())
    halves = [halving_alpha([*row.index], row.tolist()) for row in rows]
    low, middle, high = np.quantile(halves, [0.25, 0.5, 0.75], method="nearest")
    return f"{middle:.2f} ({low:.2f} … {high:.2f})".replace("inf", "beyond")


def figure(df: pd.DataFrame) -> Figure:
    """What is left against α, a line for each kind; a panel for `e` and one for `m`.

    Lines are means over texts and draws; the band holds the middle half of all paths.
    """
    left = {token: paths(df, token) for token in ("e", "m")}
    left = {token: frame for token, frame in left.items() if len(frame)}
    if not left:
        return plots.nothing(NOTHING)
    drawn, axes = plots.figure(len(left), sharey=True, squeeze=False, figsize=(6, 3.8))
    for axis, (token, frame) in zip(axes[0], left.items(), strict=True):
        quartiles = frame.quantile(0.25), frame.quantile(0.75)
        axis.fill_between(frame.columns, *quartiles, color="#cccccc", alpha=0.6, lw=0)
        for noise, style in plots.line_styles(NOISES).items():
            if noise in frame.index.unique("noise"):
                every = {"markevery": max(1, frame.shape[1] // 8), "markersize": 4}
                axis.plot(frame.columns, frame.loc[noise].mean(), label=noise, **style, **every)
        axis.set(xlabel="noise ratio α", title=f"noise on {token}", ylim=(-0.03, 1.05))
    axes[0, 0].set_ylabel("share of the accuracy left")
    axes[0, -1].legend(title="noise")
    return drawn


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Accuracy falls smoothly with noise on `e`, path by path, and alike for all kinds."""
    if df.empty:
        return []
    left = paths(df, "e")
    steep = cliffs(left)
    texts = steep.index.get_level_values("text") if len(steep) else None
    complete = set(NOISES) <= set(left.index.unique("noise"))
    alike = [
        (spread_interval(at), MARGIN, f"where {level:g} is left, α = {alpha:g}")
        for level, alpha, at in _at_levels(left)
    ]
    common = {"experiment": "noise", "unit": "texts"}
    return [
        verdict(
            df,
            (mean_interval(steep, texts, bounds=(0, 1)), GRADUAL),
            id="B2.smooth",
            claim="Noise on e degrades smoothly: share of paths (text, kind, draw) that lose more "
            f"than half of the clean accuracy between two α no more than {STEP:g} apart",
            published="smooth (figure of means, no number)",
            untested="" if len(steep) else f"solved texts, and steps of α all {STEP:g} or less",
            **common,
        ),
        verdict(
            df,
            *alike,
            id="B2.alike",
            claim="All four kinds of noise act alike: largest minus smallest of the kinds' shares "
            "of the accuracy left, mean over texts, at the α where three quarters, half and a "
            "quarter of it are left",
            published="alike (figure, no number)",
            untested="" if complete and alike else "solved texts under all four kinds of noise",
            **common,
        ),
    ]


def _at_levels(left: pd.DataFrame) -> list[tuple[float, float, np.ndarray]]:
    """(level, α, values (n_texts, n_kinds)) for the α whose mean is nearest to each of `LEVELS`.

    Texts that were not read under every kind there are left out; an α serves one level only.
    """
    if left.empty:
        return []
    means = by_text(left).stack().unstack("noise").dropna()
    overall = means.groupby(level="alpha").mean().mean(axis=1).drop(0.0, errors="ignore")
    chosen: dict[float, float] = {}
    for level in LEVELS if len(overall) else ():
        alpha = (overall - level).abs().idxmin()
        if abs(overall[alpha] - level) <= NEAR:
            chosen.setdefault(alpha, level)
    return [
        (level, alpha, means.xs(alpha, level="alpha").to_numpy()) for alpha, level in chosen.items()
    ]
