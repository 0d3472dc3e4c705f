"""A5: how fast is reconstruction? (Mezentsev & Oseledets, Fig. 4)

One forward pass against token-by-token decoding, in tokens a second, at the longest length
that one pass can reconstruct. The library's code is what the paper timed; fast code does both
sides as well as we can (see `reproducer.readings.decoding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import tested
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.readings.speed import DecodingSpec
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = ("one pass", "autoregressive")
CODES = ("library", "fast")
PAPERS_RATIO = 279


class Params(ExperimentParams):
    """`models` are timed one after the other; `model` and `n_texts` are not used.

    `lengths`: tokens for each model; None takes the longest text that the paper reconstructs
    with that architecture. `batches`: texts at a time with the fast code; the library's code
    is timed with one.
    """

    models: tuple[str, ...] = Field(("smollm2-135m",), min_length=1)
    lengths: tuple[int, ...] | None = None
    batches: tuple[int, ...] = Field((1, 8, 64), min_length=1)
    repeats: int = Field(5, ge=1)

    @model_validator(mode="after")
    def _one_length_a_model(self) -> Params:
        if self.lengths is not None and len(self.lengths) != len(self.models):
            raise ValueError(
                f"expected one length for each of {len(self.models)} models, "
                f"got {len(self.lengths)}"
            )
        return self


def longest_published(model: str) -> int:
    """The longest text, in tokens, that the paper reconstructs with an architecture."""
    capacity = published("capacity")
    found = capacity[capacity["model"] == model.removeprefix(RANDOM_PREFIX)]["max_tokens"]
    if found.empty:
        raise ReproducerError(f"the paper gives no length for {model!r}: set lengths")
    return int(found.max())


def specs(params: Params, known: Known) -> list[DecodingSpec]:
    """Both ways of both codes with one text, and of the fast code with more."""
    lengths = params.lengths or [longest_published(model) for model in params.models]
    runs = [("library", 1), *(("fast", batch) for batch in params.batches)]
    return [
        DecodingSpec(
            model=model, n_tokens=n_tokens, batch=batch, repeats=params.repeats, way=way, code=code
        )
        for model, n_tokens in zip(params.models, lengths, strict=True)
        for code, batch in runs
        for way in WAYS
    ]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each timing.

    Columns: model, n_tokens, batch, way, code, seconds, spread, tokens_per_second, profile,
    dtype, device, on_gpu.
    """
    timings = [
        {
            **{name: r.spec[name] for name in ("model", "n_tokens", "batch", "way", "code")},
            **r.metrics,
            **{name: r.provenance[name] for name in ("dtype", "device")},
        }
        for r in known.all(specs(params, known))
    ]
    return pd.DataFrame(timings).assign(profile=params.profile) if timings else pd.DataFrame()


def ratios(df: pd.DataFrame) -> pd.DataFrame:
    """One pass ÷ autoregressive in tokens a second: rows model, n_tokens, code, batch."""
    keys = ["model", "n_tokens", "code", "batch"]
    wide = df.pivot_table(index=keys, columns="way", values="tokens_per_second", sort=False)
    wide = wide.reindex(columns=WAYS).dropna()
    return wide.assign(ratio=wide["one pass"] / wide["autoregressive"]).rename_axis(columns=None)


def crossover(df: pd.DataFrame) -> pd.DataFrame:
    """At which batch does autoregressive decoding give the tokens a second of one pass?

    Fast code. `batch` is where autoregressive decoding of that many texts reaches one pass of a
    single text, interpolated between the batches timed on logarithmic axes; None if it does
    not. `ratio_at_largest` compares both ways at the largest batch.
    """
    fast = ratios(df).xs("fast", level="code")
    rows = []
    for (model, n_tokens), group in fast.groupby(level=["model", "n_tokens"], sort=False):
        by_batch = group.droplevel(["model", "n_tokens"]).sort_index()
        found = _reached(by_batch["autoregressive"], by_batch["one pass"].iloc[0])
        rows.append((model, n_tokens, found, by_batch.index[-1], by_batch["ratio"].iloc[-1]))
    names = ["model", "n_tokens", "batch", "largest_batch", "ratio_at_largest"]
    return pd.DataFrame(rows, columns=names)


def _reached(speeds: pd.Series, wanted: float) -> float | None:
    """The first index value at which `speeds` reaches `wanted`, log-log interpolated."""
    batches, logs = np.log(speeds.index.to_numpy(float)), np.log(speeds.to_numpy())
    target = np.log(wanted)
    if logs[0] >= target:
        return float(speeds.index[0])
    for i in range(1, len(logs)):
        if logs[i] >= target:
            share = (target - logs[i - 1]) / (logs[i] - logs[i - 1])
            return float(np.exp(batches[i - 1] + share * (batches[i] - batches[i - 1])))
    return None


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Tokens a second of both ways and their ratio."""
    shown = ratios(df)
    return shown.round({"one pass": 0, "autoregressive": 1, "ratio": 1})


def crossover_table(df: pd.DataFrame) -> pd.DataFrame:
    """`crossover` in words."""
    found = crossover(df)
    cells = [
        f"{b:.0f}" if pd.notna(b) else f"more than {largest}"
        for b, largest in zip(found["batch"], found["largest_batch"], strict=True)
    ]
    return pd.DataFrame(
        {
            "model": found["model"],
            "tokens": found["n_tokens"],
            "texts decoded together to match one pass of one text": cells,
            "ratio at equal batch": [
                f"{r:.1f} at {b}"
                for r, b in zip(found["ratio_at_largest"], found["largest_batch"], strict=True)
            ],
        }
    )


def figure(df: pd.DataFrame) -> Figure:
    """Tokens a second by model, one text at a time: both ways, both codes."""
    single = df[df["batch"] == 1]
    made, axis = plots.figure()
    styles = plots.line_styles([f"{way}, {code} code" for way in WAYS for code in CODES])
    models = list(dict.fromkeys(single["model"]))
    for (label, style), (way, code) in zip(
        styles.items(), [(way, code) for way in WAYS for code in CODES], strict=True
    ):
        rows = single[(single["way"] == way) & (single["code"] == code)].set_index("model")
        place = [models.index(model) for model in rows.index]
        drawn = {k: v for k, v in style.items() if k != "linestyle"}
        axis.plot(place, rows["tokens_per_second"], linestyle="", label=label, **drawn)
    lengths = single.groupby("model")["n_tokens"].first()
    axis.set_xticks(range(len(models)), [f"{m}\nN = {lengths[m]}" for m in models])
    axis.tick_params("x", labelrotation=20 if len(models) > 3 else 0)
    axis.set(yscale="log", ylabel="tokens per second", xlim=(-0.5, len(models) - 0.5))
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return made


def batch_figure(df: pd.DataFrame) -> Figure:
    """Tokens a second against texts decoded together, fast code; a panel for each model."""
    fast = df[df["code"] == "fast"]
    models = list(dict.fromkeys(fast["model"]))
    n_columns = min(3, len(models))
    n_rows = -(-len(models) // n_columns)
    made, axes = plots.figure(n_columns, n_rows, squeeze=False, sharex=True)
    for axis, model in zip(axes.flat, models, strict=False):
        rows = fast[fast["model"] == model].sort_values("batch")
        for way, style in plots.line_styles(WAYS).items():
            some = rows[rows["way"] == way]
            axis.plot(some["batch"], some["tokens_per_second"], label=way, **style)
        plots.powers_axis(axis, rows["batch"])
        axis.set(yscale="log", xlabel="texts decoded together", title=model)
    for axis in axes.flat[len(models) :]:
        axis.remove()
    axes[0, 0].set_ylabel("tokens per second")
    axes[0, 0].legend()
    return made


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was timed, where, and how steady the times were."""
    if df.empty:
        return "No result of this profile is stored."
    return (
        f"Timed on {joined_devices(df['device'])} ({', '.join(sorted(df['dtype'].unique()))}), "
        f"profile {df['profile'].iloc[0]}. Slowest minus fastest repeat, as a share of the median: "
        f"{df['spread'].median():.0%} typically, {df['spread'].max():.0%} at worst."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """One pass is about two orders of magnitude faster: with the library's code, and fairly."""
    if df.empty or not all(tested(model) for model in df["model"]):
        return []
    return [_faster(df, code) for code in CODES]


def _faster(df: pd.DataFrame, code: str) -> Verdict:
    of_one = ratios(df).xs((code, 1), level=("code", "batch"))["ratio"]
    numbers = bootstrap_interval(of_one) if len(of_one) else (None, None, None)
    side = "the library's generate" if code == "library" else "a cache of fixed size and graphs"
    return verdict_on(
        df,
        numbers,
        lambda r: r > 100,
        df["on_gpu"].all() and len(of_one) > 0,
        id=f"A5.{code}",
        experiment="throughput",
        claim="One pass reconstructs about two orders of magnitude faster: mean ratio of tokens a "
        f"second, against {side}",
        published=f"{PAPERS_RATIO} (mean over models)",
        n=len(of_one),
        criterion="mean ratio over models above 100, whole interval over models; needs a GPU",
    )
