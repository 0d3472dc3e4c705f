"""B2: how much noise does a proto-token bear? (Bondarenko et al., Fig 4)

Noise of four kinds is added to a solution, `ε/‖ε‖ · α‖v‖`, and the text is read again in one
pass, in float32. The paper perturbs `e`; we perturb `m` too. Accuracy should fall smoothly
with α, and alike for all kinds.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from pydantic import Field
from torch import Tensor

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.decoder.head import head_loss
from reproducer.experiments import attention, plots
from reproducer.experiments.base import fit_frame, results_of, tested
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.models.language_model import LanguageModel
from reproducer.readings.noise import NOISES, halving_alpha, noise_direction, perturbed
from reproducer.results.provenance import provenance
from reproducer.results.run import cached_lm
from reproducer.results.specs import FitSpec, Spec
from reproducer.results.store import Result
from reproducer.results.vectors import solved
from reproducer.solver.memory import batch_inputs
from reproducer.solver.problem import Problem

MIN_TEXTS = 5


class Params(attention.Params):
    """`alphas`: noise-to-signal ratios, ascending from 0; `n_draws`: noise vectors of a kind."""

    tokens: tuple[Literal["e", "m"], ...] = Field(("e", "m"), min_length=1)
    noises: tuple[str, ...] = tuple(NOISES)
    alphas: tuple[float, ...] = Field((0.0, 0.05, 0.1, 0.2, 0.5, 1.0), min_length=2)
    n_draws: int = Field(10, ge=1)


class NoiseSpec(Spec):
    """Accuracy of a fitted text when one of its tokens is perturbed."""

    kind: Literal["noise"] = "noise"
    fit: FitSpec
    token: Literal["e", "m"]
    noise: str
    alphas: tuple[float, ...]
    n_draws: int

    def run(self) -> Result:
        # Array `accuracy`: (n_alphas, n_draws).
        (fit,) = results_of([self.fit], compute_missing=True)
        lm = cached_lm(self.model, self.dtype)
        problem = self.fit.problem(lm)
        accuracy = read_accuracy(lm, problem, self._tables(fit.arrays["rows"]))
        arrays = {"accuracy": accuracy.view(len(self.alphas), self.n_draws)}
        return Result(self.key, self.model_dump(mode="json"), {}, arrays, provenance(lm))

    def _tables(self, rows: Tensor) -> Tensor:
        """The solution under every α and draw: (n_alphas · n_draws, n_rows, d_model)."""
        row = self.fit.row_of(self.token, 0)
        text = self.fit.texts[0].digest
        tables = rows.repeat(len(self.alphas), self.n_draws, 1, 1)
        for draw in range(self.n_draws):
            # One direction a draw, so that the accuracies along α belong to one path.
            direction = noise_direction(self.noise, rows.shape[1], text, self.token, str(draw))
            for i, alpha in enumerate(self.alphas):
                tables[i, draw, row] = perturbed(rows[row], direction, alpha)
        return tables.flatten(0, 1)


@torch.no_grad()
def read_accuracy(lm: LanguageModel, problem: Problem, tables: Tensor) -> Tensor:
    """Accuracy of the first sequence of `problem` for each table (n, n_rows, d_model): (n,)."""
    decoder, index = lm.decoder(torch.float32), problem.index[0]
    wanted, end = problem.targets[0].to(lm.device), problem.offset + problem.targets.shape[1]
    parts = []
    for some in tables.split(max(1, batch_inputs(lm) // len(index))):
        hidden = decoder(some[:, index].to(lm.device))[:, problem.offset : end]
        targets = wanted.repeat(len(some))
        _, guess = head_loss(hidden.flatten(0, 1), decoder.head, decoder.head_bias, targets)
        parts.append((guess == targets).view(len(some), -1).float().mean(1).cpu())
    return torch.cat(parts)


def specs(params: Params) -> list[Spec]:
    """The fits of `attention`, and for each a reading by token and kind of noise."""
    fits = attention.fits(params)
    readings = [
        NoiseSpec(
            model=fit.model,
            dtype=fit.dtype,
            fit=fit,
            token=token,
            noise=noise,
            alphas=params.alphas,
            n_draws=params.n_draws,
        )
        for fit in fits
        for token in params.tokens
        for noise in params.noises
    ]
    return [*fits, *readings]


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each text, token, noise, α and draw: `noisy_accuracy`, after `fit_frame`."""
    results = results_of(specs(params), compute_missing)
    fits = fit_frame([r for r in results if r.spec["kind"] == "fit"], params)
    rows = [row for r in results if r.spec["kind"] == "noise" for row in _rows(r)]
    if fits.empty or not rows:
        return pd.DataFrame()
    frame = fits.merge(pd.DataFrame(rows), on="key")
    return frame.assign(min_accuracy=params.min_accuracy)


def _rows(result: Result) -> list[dict]:
    spec, accuracy = result.spec, result.arrays["accuracy"].double()
    fixed = {"key": FitSpec(**spec["fit"]).key, "token": spec["token"], "noise": spec["noise"]}
    return [
        {**fixed, "alpha": alpha, "draw": draw, "noisy_accuracy": accuracy[i, draw].item()}
        for i, alpha in enumerate(spec["alphas"])
        for draw in range(accuracy.shape[1])
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
    good, rows = usable(df), {}
    for token in good["token"].unique():
        for noise in good["noise"].unique():
            by_text = curves(good, token, noise)
            halves = [halving_alpha([*by_text], row.tolist()) for _, row in by_text.iterrows()]
            low, middle, high = np.quantile(halves, [0.25, 0.5, 0.75], method="nearest")
            shown = {f"α = {alpha:g}": f"{mean:.2f}" for alpha, mean in by_text.mean().items()}
            halving = f"{middle:.2f} ({low:.2f} … {high:.2f})".replace("inf", "beyond")
            rows[token, noise] = shown | {"halves at α": halving}
    return pd.DataFrame(rows).T.rename_axis(["token", "noise"])


def figure(df: pd.DataFrame) -> Figure:
    """Accuracy against α, mean and middle half over texts and draws; a panel for `e` and `m`."""
    good = usable(df)
    tokens = [token for token in ("e", "m") if token in set(good["token"])]
    made, axes = plots.figure(len(tokens), sharey=True, squeeze=False)
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
    return made


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
