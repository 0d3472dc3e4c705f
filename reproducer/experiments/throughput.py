"""A5: how fast is reconstruction? (Mezentsev & Oseledets, Fig. 4)

One forward pass against token-by-token decoding, in tokens a second, at the longest length
that one pass can reconstruct. The library's code is what the paper timed; fast code does both
sides as well as we can (see `reproducer.readings.decoding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field, model_validator

from reproducer.analysis.crossings import first_reached
from reproducer.analysis.intervals import share_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import Protocol, number, on_one_device
from reproducer.experiments.claims import NOT_IN_PAPERS, Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.readings.speed import DecodingSpec
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = ("one pass", "autoregressive")
CODES = ("library", "fast")
SIDES = {"library": "the library's generate", "fast": "a cache of fixed size and graphs"}
PAPERS_RATIO, TARGET = 279, 100

PROTOCOL = Protocol(
    paper="Six models on a GPU, each at the longest text that one pass reconstructs, 128 to 724 "
    "tokens; tokens a second of one pass over those of autoregressive decoding, mean over models.",
    ours="The same, with the library's code and with our own on both sides, one text and many at a "
    "time. Judged are timings on a GPU of the paper's architectures at its lengths; others are "
    "shown. The claim is that most models exceed a ratio of 100, the mean ratio stands beside it.",
    why="One pass replaces as many passes as there are tokens, so the ratio cannot exceed the "
    "length by much: short texts on a CPU cannot speak for or against the claim. Six ratios are no "
    "sample for an interval of their mean, but the share of models has an exact one.",
)


class Params(ExperimentParams):
    """`models` are timed one after the other; nothing is fitted.

    `lengths`: tokens for each model; None takes the longest text that the paper reconstructs
    with that architecture. `batches`: texts at a time with the fast code; the library's code
    is timed with one.
    """

    UNUSED = ("model", "source", "n_texts", "seed", "recipe", "max_steps")

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
    longest = capacity[capacity["model"] == model.removeprefix(RANDOM_PREFIX)]["max_tokens"]
    if longest.empty:
        raise ReproducerError(f"the paper gives no length for {model!r}: set lengths")
    return int(longest.max())


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
    """One row for each timing, of one device alone (see `on_one_device`).

    Columns: model, n_tokens, batch, way, code, seconds, spread, tokens_per_second, profile,
    dtype, device, on_gpu.
    """
    timings = [
        {
            **{name: r.spec[name] for name in ("model", "n_tokens", "batch", "way", "code")},
            **r.metrics,
            **{name: r.provenance[name] for name in ("dtype", "device")},
        }
        for r in on_one_device(known.all(specs(params, known)))
    ]
    return pd.DataFrame(timings).assign(profile=params.profile) if timings else pd.DataFrame()


def ratios(df: pd.DataFrame) -> pd.DataFrame:
    """One pass ÷ autoregressive in tokens a second: rows model, n_tokens, code, batch."""
    if df.empty:
        return pd.DataFrame()
    keys = ["model", "n_tokens", "code", "batch"]
    wide = df.pivot_table(index=keys, columns="way", values="tokens_per_second", sort=False)
    wide = wide.reindex(columns=WAYS).dropna()
    return wide.assign(ratio=wide["one pass"] / wide["autoregressive"]).rename_axis(columns=None)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Tokens a second of both ways and their ratio."""
    both = ratios(df)
    digits = {"one pass": 0, "autoregressive": 1, "ratio": 1}
    return both.apply(lambda column: column.map(lambda v: number(v, digits[column.name])))


def crossover_table(df: pd.DataFrame) -> pd.DataFrame:
    """How many texts must be decoded together to give the tokens a second of one pass of one?

    Fast code; between the batches timed, the speed is interpolated on logarithmic axes. The last
    column compares both ways at the largest batch.
    """
    both = ratios(df)
    fast = both[both.index.get_level_values("code") == "fast"] if len(both) else both
    cells = []
    for (model, n_tokens), group in fast.groupby(level=[0, 1], sort=False) if len(fast) else ():
        by_batch = group.droplevel(["model", "n_tokens", "code"]).sort_index()
        if by_batch.index[0] == 1:
            wanted, largest = by_batch["one pass"].iloc[0], by_batch.index[-1]
            batch = first_reached(by_batch.index, by_batch["autoregressive"], wanted)
            match = f"more than {largest}" if batch is None else f"{batch:.0f}"
            cells.append((model, n_tokens, match, f"{by_batch['ratio'].iloc[-1]:.1f} at {largest}"))
    match = "texts decoded together to match one pass of one text"
    return pd.DataFrame(cells, columns=["model", "tokens", match, "ratio at equal batch"])


def figure(df: pd.DataFrame) -> Figure:
    """One text at a time: tokens a second of both ways and codes, and their ratio to the paper's.

    The ratio's grey mark is the number of tokens, which it cannot exceed by much; the line is the
    paper's mean.
    """
    drawn, (left, right) = plots.figure(2, figsize=(11, 4.6))
    single = df[df["batch"] == 1] if len(df) else df
    models = list(dict.fromkeys(single["model"])) if len(single) else []
    kinds = [(way, code) for way in WAYS for code in CODES]
    styles = plots.line_styles(f"{way}, {code} code" for way, code in kinds)
    for i, (label, style) in enumerate(styles.items() if models else ()):
        way, code = kinds[i]
        cell = single[(single["way"] == way) & (single["code"] == code)]
        _marks(left, models, cell["model"], cell["tokens_per_second"], (i - 1.5) / 6, label, style)
    both = ratios(single)
    for i, (code, style) in enumerate(plots.line_styles(CODES).items() if len(both) else ()):
        cell = both[both.index.get_level_values("code") == code]
        names = cell.index.get_level_values("model")
        _marks(right, models, names, cell["ratio"], (i - 0.5) / 4, f"{code} code", style)
    if models:
        _finish(left, right, single, models)
    return drawn


def _marks(axis, models, names, values, shift, label, style) -> None:
    """Values above their models, moved a little so that series do not hide one another."""
    look = {k: v for k, v in style.items() if k != "linestyle"}
    axis.plot([models.index(n) + shift for n in names], values, linestyle="", label=label, **look)


def _finish(left, right, single: pd.DataFrame, models: list[str]) -> None:
    lengths = single.groupby("model")["n_tokens"].first()
    places = range(len(models))
    ticks = [lengths[model] for model in models]
    right.plot(places, ticks, "_", color="#777777", markersize=24, label="tokens N")
    right.axhline(PAPERS_RATIO, color="black", lw=1, ls="--", label=f"paper: {PAPERS_RATIO}, GPU")
    for axis, name in ((left, "tokens per second"), (right, "ratio, one pass ÷ autoregressive")):
        axis.set_xticks(places, [f"{m}\nN = {lengths[m]}" for m in models])
        axis.tick_params("x", labelrotation=20 if len(models) > 2 else 0)
        axis.set(ylabel=name, xlim=(-0.5, len(models) - 0.5))
        plots.log_axis(axis)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize="small")


def batch_figure(df: pd.DataFrame) -> Figure:
    """Tokens a second against texts decoded together, fast code; a panel for each model."""
    fast = df[df["code"] == "fast"] if len(df) else df
    models = list(dict.fromkeys(fast["model"])) if len(fast) else []
    n_columns = min(3, max(1, len(models)))
    n_rows = max(1, -(-len(models) // n_columns))
    drawn, axes = plots.figure(n_columns, n_rows, squeeze=False, sharex=True)
    for axis, model in zip(axes.flat, models, strict=False):
        timed = fast[fast["model"] == model].sort_values("batch")
        for way, style in plots.line_styles(WAYS).items():
            some = timed[timed["way"] == way]
            axis.plot(some["batch"], some["tokens_per_second"], label=way, **style)
        plots.powers_axis(axis, timed["batch"])
        plots.log_axis(axis)
        axis.set(xlabel="texts decoded together", title=model)
        axis.legend()
    for axis in axes.flat[len(models) :]:
        axis.remove()
    axes[0, 0].set_ylabel("tokens per second")
    return drawn


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
    """One pass is about two orders of magnitude faster; and ours: also than fast code."""
    return [_faster(df, code) for code in CODES] if len(df) else []


def _faster(df: pd.DataFrame, code: str) -> Verdict:
    both = ratios(df).reset_index()
    single = both[(both["code"] == code) & (both["batch"] == 1)] if len(both) else both
    judged = single[[*map(_at_papers_length, single["model"], single["n_tokens"])]]
    on_gpu = df["on_gpu"].all() and len(judged) > 0
    ratio = (judged if on_gpu else single)["ratio"]
    mean = f"mean ratio {ratio.mean():.1f}, " if len(ratio) else ""
    return verdict(
        df,
        (
            share_interval(int((ratio > TARGET).sum()), len(ratio)),
            above(0.5, "with more models than not"),
        ),
        untested="" if on_gpu else "a GPU, and the paper's models at the paper's lengths",
        own=code == "fast",
        id=f"A5.{code}",
        experiment="throughput",
        unit="models",
        published=f"mean ratio {PAPERS_RATIO}, GPU" if code == "library" else NOT_IN_PAPERS,
        claim=f"One pass is {TARGET} times as fast as autoregressive decoding with "
        f"{SIDES[code]}, in tokens a second: share of models ({mean}on "
        f"{joined_devices(df['device'])})",
    )


def _at_papers_length(model: str, n_tokens: int) -> bool:
    try:
        return n_tokens >= longest_published(model)
    except ReproducerError:
        return False  # no model of the paper's
