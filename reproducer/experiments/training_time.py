"""A6: how long does training a pair of proto-tokens take? (Mezentsev & Oseledets, Table 4)

Seconds a fit are seconds a step, which are timed, times steps, which are counted in fits.
Untrained architectures (`random:<name>`) have a time a step but no fits.
"""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import ratio_interval
from reproducer.experiments import base, plots
from reproducer.experiments.cells import number
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

# What is taken from fits, in types that have a place for what a model without fits lacks.
FITTED = {"n_tokens": int, "text": object, "steps": float, "solved": float}
PROTOCOL = base.Protocol(
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
        base.fit(params, [text.prefix(n_tokens)], model=model, arrangement=card.arrangement)
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
    timings = base.on_one_device(
        known.all(s for model in params.models for s in steps(params, model))
    )
    frames = []
    for model in params.models:
        timed = _timed([r for r in timings if r.spec["model"] == model], params.batch)
        if not timed.empty:
            fitted = base.fit_frame(known.all(fits(params, model)), params)[list(FITTED)]
            fitted = fitted.astype(FITTED)
            frames.append(timed.merge(fitted, how="left", on="n_tokens").assign(model=model))
    if not frames:
        return pd.DataFrame()
    facts = params.model_dump(include={"profile", "batch", "recipe"})
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


def figure(df: pd.DataFrame) -> plots.Figure:
    """Milliseconds a step and text against N; seconds a fit against N, with the paper's models."""
    drawn, (step, fit) = plots.figure(1, 2, figsize=(5.6, 7.5), sharex=True)
    models = list(df.groupby("model", sort=False)) if len(df) else []
    styles = plots.line_styles(name for name, _ in models)
    for model, rows in models:
        means = rows.groupby("n_tokens").mean(numeric_only=True)
        look = {"color": styles[model]["color"], "marker": styles[model]["marker"]}
        for kind, dash, name in (
            ("", "-", model),
            ("batched_", ":", f"{model}, {rows['batch'].iloc[0]} together"),
        ):
            look |= {"linestyle": dash, "label": name}
            step.plot(means.index, 1000 * means[f"{kind}step_seconds"], **look)
            fit.plot(means.index, means[f"{kind}seconds"], **look)
    theirs, lengths = published("training_seconds"), df["n_tokens"] if len(df) else []
    for (model, rows), marker in zip(
        theirs.groupby("model", sort=False), plots.MARKERS, strict=False
    ):
        look = {"marker": marker, "mfc": "none", "lw": 0.8, "color": plots.GREY}
        fit.plot(rows["n_tokens"], rows["seconds"], "--", label=f"paper: {model}", **look)
    plots.not_tested(fit.axvspan, lengths, theirs["n_tokens"])
    for axis, name in ((step, "milliseconds a step and text"), (fit, "seconds a fit")):
        plots.powers_axis(axis, [*lengths, *theirs["n_tokens"]])
        plots.log_axis(axis)
        axis.set(xlabel="tokens N", ylabel=name)
    plots.legend(step, fit)
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: where it was timed, and what was fitted."""
    if df.empty:
        return base.NOTHING_STORED
    fitted = df.dropna(subset="steps")
    counted = "no fits"
    if not fitted.empty:
        counted = (
            f"{len(fitted)} fits of {fitted['text'].nunique()} texts by the recipe "
            f"{fitted['recipe'].iloc[0]}, {int((fitted['solved'] == 0).sum())} of them not solved "
            "within the budget"
        )
    return f"Timed in {base.where(df)}; {counted}."


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
