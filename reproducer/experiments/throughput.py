"""A5: how fast is reconstruction? (Mezentsev & Oseledets, Fig. 4)

One forward pass against token-by-token decoding, with the library's code, as the paper, and with
fast code on both sides (`reproducer.readings.decoding`).
"""

from __future__ import annotations

import pandas as pd
from pydantic import Field, model_validator

from reproducer.analysis.crossings import first_reached
from reproducer.analysis.intervals import share_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import base, plots
from reproducer.experiments.cells import number
from reproducer.experiments.claims import NOT_IN_PAPERS, Verdict, above, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.readings.speed import DecodingSpec
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices

WAYS = ("one pass", "autoregressive")
CODES = ("library", "fast")
SIDES = {"library": "the library's generate", "fast": "a cache of fixed size and graphs"}
FACTS = ["model", "n_tokens", "batch", "way", "code", "dtype", "device"]
PAPERS_RATIO, TARGET = 279, 100

PROTOCOL = base.Protocol(
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
    REPEATING = ("lengths",)

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
    longest = _longest_published(model)
    if pd.isna(longest):
        raise ReproducerError(f"the paper gives no length for {model!r}: set lengths")
    return int(longest)


def _longest_published(model: str) -> float:
    capacity = published("capacity")
    return capacity.loc[capacity["model"] == model.removeprefix(RANDOM_PREFIX), "max_tokens"].max()


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

    Columns: those of `FACTS`, seconds, spread, tokens_per_second, on_gpu, profile.
    """
    timings = base.on_one_device(known.all(specs(params, known)))
    frame = pd.DataFrame([r.spec | r.provenance | r.metrics for r in timings])
    return frame[[*FACTS, *timings[0].metrics]].assign(profile=params.profile) if timings else frame


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
    digits = {"one pass": 0, "autoregressive": 1, "ratio": 1}
    return ratios(df).apply(lambda column: column.map(lambda v: number(v, digits[column.name])))


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


def figure(df: pd.DataFrame) -> plots.Figure:
    """One text at a time: tokens a second of both ways and codes, and their ratio to the paper's.

    The ratio's grey mark is the number of tokens, which it cannot exceed by much; the line is the
    paper's mean, the band the lengths of its texts.
    """
    drawn, (speed, ratio) = plots.figure(1, 2, figsize=(5.6, 7))
    single = df[df["batch"] == 1] if len(df) else df
    if single.empty:
        return drawn
    lengths = single.groupby("model", sort=False)["n_tokens"].first()
    both = ratios(single).reset_index()
    kinds = [f"{way}, {code} code" for way in WAYS for code in CODES]
    single = single.assign(kind=single["way"] + ", " + single["code"] + " code")
    _marks(speed, lengths, single, "tokens_per_second", kinds)
    if len(both):
        both["kind"] = "ratio, " + both["code"] + " code"
        _marks(ratio, lengths, both, "ratio", [f"ratio, {code} code" for code in CODES])
    ratio.plot(range(len(lengths)), lengths, "_", color=plots.GREY, markersize=28, label="tokens N")
    ratio.axhline(PAPERS_RATIO, color="black", lw=1, ls="--", label=f"paper: mean {PAPERS_RATIO}")
    theirs = published("capacity").query("not shared_m").groupby("model")["max_tokens"].max()
    ends = theirs.min(), theirs.max()
    ratio.axhspan(*ends, color="#eeeeee", zorder=0, label=f"paper: N, {ends[0]} to {ends[1]}")
    for axis, name in ((speed, "tokens per second"), (ratio, "ratio, one pass ÷ autoregressive")):
        axis.set_xticks(range(len(lengths)), [f"{m}\nN = {n}" for m, n in lengths.items()])
        axis.tick_params("x", labelrotation=20 if len(lengths) > 2 else 0)
        axis.set(xlabel="", ylabel=name, xlim=(-0.5, len(lengths) - 0.5))
        plots.log_axis(axis)
    plots.legend(speed, ratio)
    return drawn


def _marks(
    axis: plots.Axes, models: pd.Series, frame: pd.DataFrame, value: str, kinds: list[str]
) -> None:
    """Values above their models, moved a little so that kinds do not hide one another."""
    import seaborn as sns

    look = {
        "markers": list(plots.MARKERS[: len(kinds)]),
        "palette": list(plots.PALETTE[: len(kinds)]),
    }
    place = {"x": "model", "order": models.index, "hue": "kind", "hue_order": kinds, "dodge": 0.5}
    sns.pointplot(frame, y=value, **place, **look, linestyle="none", errorbar=None, ax=axis)


def batch_figure(df: pd.DataFrame) -> plots.Figure:
    """Tokens a second against texts decoded together, fast code; a panel for each model."""
    fast = df[df["code"] == "fast"] if len(df) else df
    models = list(fast.groupby("model", sort=False)) if len(fast) else []
    drawn, axes = plots.panels(len(models), sharex=True)
    for axis, (model, timed) in zip(axes, models, strict=False):
        for way, style in plots.line_styles(WAYS).items():
            some = timed[timed["way"] == way].sort_values("batch")
            axis.plot(some["batch"], some["tokens_per_second"], label=way, **style)
        plots.powers_axis(axis, timed["batch"])
        plots.log_axis(axis)
        axis.set(xlabel="texts decoded together", title=model)
    axes[0].set_ylabel("tokens per second")
    plots.legend(*axes)
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was timed, where, and how steady the times were."""
    if df.empty:
        return base.NOTHING_STORED
    return (
        f"Timed in {base.where(df)}. Slowest minus fastest repeat, as a share of the median: "
        f"{df['spread'].median():.0%} typically, {df['spread'].max():.0%} at worst."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """One pass is about two orders of magnitude faster; and ours: also than fast code."""
    return [_faster(df, code) for code in CODES] if len(df) else []


def _faster(df: pd.DataFrame, code: str) -> Verdict:
    both = ratios(df).reset_index()
    single = both.query("code == @code and batch == 1") if len(both) else both
    judged = single[single["n_tokens"] >= single["model"].map(_longest_published).astype(float)]
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
