"""A6: how long does training a pair of proto-tokens take? (Mezentsev & Oseledets, Table 4)

Seconds a fit are seconds a step times steps. The first depends on architecture, length and how
many texts are fitted side by side, and is timed; the second depends on model and text, and is
counted in fits. Untrained architectures (`random:<name>`) have a time a step but no fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import ratio_interval
from reproducer.experiments import plots
from reproducer.experiments.base import Protocol, fit, number, on_one_device
from reproducer.experiments.claims import Verdict, below, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.models.card import model_card
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.readings.speed import StepSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.provenance import joined_devices
from reproducer.results.specs import Result, Spec
from reproducer.texts.sources import load_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PROTOCOL = Protocol(
    paper="Six models on an A100 or H100 with 80 GB, seconds to train one pair of vectors for each "
    "N from 32 to 512, averaged over the sources of texts.",
    ours="Steps counted in fits, times the seconds of a step timed alone. Judged are the paper's "
    "own models and N on a GPU; others are shown beside the paper's seconds.",
    why="How long a fit took as it was run depends on what was fitted beside it, and on another "
    "device or model the paper's seconds say nothing about ours.",
)


class Params(ExperimentParams):
    """`models` are timed, and those with trained weights also fitted.

    `lengths`: numbers of tokens N. A step is timed with one text and with `batch` texts.
    """

    UNUSED = ("model",)

    models: tuple[str, ...] = Field(("smollm2-135m",), min_length=1)
    lengths: tuple[int, ...] = Field((32, 64, 128), min_length=1)
    batch: int = Field(16, ge=2)
    repeats: int = Field(20, ge=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """Fits and timed steps of every model."""
    return [
        spec for model in params.models for spec in (*fits(params, model), *steps(params, model))
    ]


def fits(params: Params, model: str) -> list[FitSpec]:
    """One fit for each length and text, none of untrained weights."""
    if model.startswith(RANDOM_PREFIX):
        return []
    card, longest = model_card(model), max(params.lengths)
    texts = load_texts(params.source, model, params.n_texts, longest)
    return [
        fit(params, [text.prefix(n_tokens)], model=model, arrangement=card.arrangement)
        for n_tokens in params.lengths
        for text in texts
    ]


def steps(params: Params, model: str) -> list[StepSpec]:
    """A step with one text and with many, at each length."""
    return [
        StepSpec(model=model, n_tokens=n_tokens, batch=batch, repeats=params.repeats)
        for n_tokens in params.lengths
        for batch in (1, params.batch)
    ]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each fit, or for each length of a model that is not fitted.

    Columns: model, n_tokens, text, steps, solved; step_seconds and batched_step_seconds (a text's
    share of a step alone and of one with `batch` texts, timed on one device); seconds and
    batched_seconds (the same times `steps`); batch, profile, recipe, dtype, device, on_gpu. What an
    unfitted model does not have is missing.
    """
    timings = on_one_device(known.all(s for model in params.models for s in steps(params, model)))
    frames = []
    for model in params.models:
        timed = _timed([r for r in timings if r.spec["model"] == model], params.batch)
        if not timed.empty:
            fitted = _fitted(known.all(fits(params, model), arrays=False))
            frames.append(timed.merge(fitted, how="left", on="n_tokens").assign(model=model))
    if not frames:
        return pd.DataFrame()
    facts = {"profile": params.profile, "batch": params.batch, "recipe": params.recipe}
    df = pd.concat(frames, ignore_index=True).assign(**facts)
    return df.assign(
        seconds=df["step_seconds"] * df["steps"],
        batched_seconds=df["batched_step_seconds"] * df["steps"],
    )


def _timed(timings: list[Result], batch: int) -> pd.DataFrame:
    """One row for each length that was timed both alone and with `batch` texts."""
    share = {
        (r.spec["n_tokens"], r.spec["batch"]): r.metrics["seconds"] / r.spec["batch"]
        for r in timings
    }
    return pd.DataFrame(
        {
            "n_tokens": r.spec["n_tokens"],
            "step_seconds": share[r.spec["n_tokens"], 1],
            "batched_step_seconds": share[r.spec["n_tokens"], batch],
            "on_gpu": r.metrics["on_gpu"],
            **{name: r.provenance[name] for name in ("dtype", "device")},
        }
        for r in timings
        if r.spec["batch"] == 1 and (r.spec["n_tokens"], batch) in share
    )


def _fitted(results: list[Result]) -> pd.DataFrame:
    columns = {
        "n_tokens": [len(r.spec["texts"][0]["tokens"]) for r in results],
        "text": [r.spec["texts"][0]["id"] for r in results],
        "steps": [r.metrics["steps"] for r in results],
        "solved": [r.metrics["solved"] for r in results],
    }
    types = {"n_tokens": int, "text": object, "steps": float, "solved": float}
    return pd.DataFrame(columns).astype(types)


def _paper(df: pd.DataFrame) -> pd.Series:
    """The paper's seconds for the architecture and N of each row; missing where it has none."""
    theirs = published("training_seconds").set_index(["model", "n_tokens"])["seconds"]
    names = df["model"].str.removeprefix(RANDOM_PREFIX)
    wanted = pd.MultiIndex.from_arrays([names, df["n_tokens"]])
    return pd.Series(theirs.reindex(wanted).to_numpy(), index=df.index)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Means over texts, and the paper's seconds where the architecture is one of its models.

    The last column is how many of our steps, one text at a time, take as long as the paper's fit.
    """
    if df.empty:
        return pd.DataFrame()
    means = df.assign(paper=_paper(df)).groupby(["model", "n_tokens"], sort=False)
    means = means.mean(numeric_only=True)
    batch = int(df["batch"].iloc[0])
    columns = {
        "ms a step, alone": (1000 * means["step_seconds"], 2),
        f"ms a step and text, {batch} together": (1000 * means["batched_step_seconds"], 2),
        "steps": (means["steps"], 0),
        "solved": (means["solved"], 2),
        "seconds a fit, alone": (means["seconds"], 1),
        f"seconds a fit, {batch} together": (means["batched_seconds"], 1),
        "paper, seconds a fit": (means["paper"], 0),
        "steps in the paper's time": (means["paper"] / means["step_seconds"], 0),
    }
    cells = {name: v.map(lambda x, d=d: number(x, d)) for name, (v, d) in columns.items()}
    return pd.DataFrame({name: c for name, c in cells.items() if (c != "–").any()})


def figure(df: pd.DataFrame) -> Figure:
    """Milliseconds a step and text against N; seconds a fit against N, with the paper's models."""
    drawn, (left, right) = plots.figure(2, figsize=(11, 4.2))
    models = list(dict.fromkeys(df["model"])) if len(df) else []
    for model, style in plots.line_styles(models).items():
        means = df[df["model"] == model].groupby("n_tokens").mean(numeric_only=True)
        look = {"color": style["color"], "marker": style["marker"]}
        for batched, dash in (("", "-"), ("batched_", ":")):
            name = model if not batched else f"{model}, {df['batch'].iloc[0]} together"
            milliseconds = 1000 * means[f"{batched}step_seconds"]
            left.plot(means.index, milliseconds, linestyle=dash, label=name, **look)
            right.plot(means.index, means[f"{batched}seconds"], linestyle=dash, **look)
    _draw_paper(right)
    theirs = published("training_seconds")["n_tokens"]
    lengths = df["n_tokens"] if models else theirs
    for axis, ticks, name in (
        (left, lengths, "milliseconds a step and text"),
        (right, [*lengths, *theirs], "seconds a fit"),
    ):
        plots.powers_axis(axis, ticks)
        plots.log_axis(axis)
        axis.set(xlabel="tokens N", ylabel=name)
    if models:
        left.legend()
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def _draw_paper(axis: Axes) -> None:
    for i, (model, theirs) in enumerate(published("training_seconds").groupby("model", sort=False)):
        look = {"marker": plots.MARKERS[i], "mfc": "none", "lw": 0.8, "color": "#777777"}
        axis.plot(theirs["n_tokens"], theirs["seconds"], "--", label=f"paper: {model}", **look)


def note(df: pd.DataFrame) -> str:
    """One line for the page: where it was timed, and what was fitted."""
    if df.empty:
        return "No result of this profile is stored."
    fitted = df.dropna(subset="steps")
    counted = "no fits"
    if not fitted.empty:
        counted = (
            f"{len(fitted)} fits of {fitted['text'].nunique()} texts by the recipe "
            f"{fitted['recipe'].iloc[0]}, "
            f"{int((fitted['solved'] == 0).sum())} of them not solved within the budget"
        )
    return (
        f"Timed on {joined_devices(df['device'])} "
        f"({', '.join(sorted(df['dtype'].unique()))}), profile {df['profile'].iloc[0]}; {counted}."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """A fit takes no longer than in the paper, where one of its models was fitted."""
    if df.empty:
        return []
    both = df.assign(paper=_paper(df)).dropna(subset=["seconds", "paper"])
    on_gpu = df["on_gpu"].all() and len(both) > 0
    return [
        verdict(
            df,
            (
                ratio_interval(both["seconds"], both["paper"], both["text"]),
                below(1.5, "half as long again; two GPUs of a kind may differ by as much"),
            ),
            untested="" if on_gpu else "a GPU, and fits of the paper's models at its lengths",
            id="A6.seconds",
            experiment="training_time",
            unit="texts",
            published="6 s (Pythia-160M, N = 32) to 261 s (Llama-3.2-3B, N = 512), GPU",
            claim="A fit takes seconds to minutes on a GPU: our mean seconds, one text at a time, "
            f"÷ the paper's for the same model and N (timed on {joined_devices(df['device'])})",
        )
    ]
