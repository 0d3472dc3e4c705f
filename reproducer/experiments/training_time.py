"""A6: how long does training a pair of proto-tokens take? (Mezentsev & Oseledets, Table 4)

Seconds a fit are seconds a step times steps. The first depends on architecture, length and how
many texts are fitted side by side, and is timed; the second depends on model and text, and is
counted in fits. Untrained architectures (`random:<name>`) have a time a step but no fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.experiments import plots
from reproducer.experiments.base import fit, tested
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.published import published
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.models.card import model_card
from reproducer.models.zoo import RANDOM_PREFIX
from reproducer.readings.speed import StepSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec
from reproducer.texts.sources import load_texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Params(ExperimentParams):
    """`models` are timed, and those with trained weights also fitted; `model` is not used.

    `lengths`: numbers of tokens N. A step is timed with one text and with `batch` texts.
    """

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

    Columns: model, n_tokens, text, steps, solved, recorded_seconds (the fit's share of the batch
    it was solved in); step_seconds and batched_step_seconds (a text's share of a step alone and
    of one with `batch` texts); seconds and batched_seconds (the same times `steps`); batch,
    profile, recipe, dtype, device, on_gpu. What an unfitted model does not have is missing.
    """
    frames = []
    for model in params.models:
        timed = _timed(known.all(steps(params, model)), params.batch)
        fitted = _fitted(known.all(fits(params, model)))
        if not timed.empty:
            frames.append(timed.merge(fitted, how="left", on="n_tokens").assign(model=model))
    if not frames:
        return pd.DataFrame()
    df = pd.concat(frames, ignore_index=True).assign(
        profile=params.profile, batch=params.batch, recipe=params.recipe
    )
    return df.assign(
        seconds=df["step_seconds"] * df["steps"],
        batched_seconds=df["batched_step_seconds"] * df["steps"],
    )


def _timed(results: list[Result], batch: int) -> pd.DataFrame:
    """One row for each length that was timed both alone and with `batch` texts."""
    share = {
        (r.spec["n_tokens"], r.spec["batch"]): r.metrics["seconds"] / r.spec["batch"]
        for r in results
    }
    return pd.DataFrame(
        {
            "n_tokens": r.spec["n_tokens"],
            "step_seconds": share[r.spec["n_tokens"], 1],
            "batched_step_seconds": share[r.spec["n_tokens"], batch],
            "on_gpu": r.metrics["on_gpu"],
            **{name: r.provenance[name] for name in ("dtype", "device")},
        }
        for r in results
        if r.spec["batch"] == 1 and (r.spec["n_tokens"], batch) in share
    )


def _fitted(results: list[Result]) -> pd.DataFrame:
    names = ["n_tokens", "text", "steps", "solved", "recorded_seconds"]
    rows = [
        (
            len(r.spec["texts"][0]["tokens"]),
            r.spec["texts"][0]["id"],
            r.metrics["steps"],
            float(r.metrics["solved"]),
            r.metrics["seconds"],
        )
        for r in results
    ]
    return pd.DataFrame(rows, columns=names).astype(
        {"n_tokens": int, "steps": float, "solved": float, "recorded_seconds": float}
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
    df = df.assign(paper=_paper(df))
    means = df.groupby(["model", "n_tokens"], sort=False).mean(numeric_only=True)
    batch = int(df["batch"].iloc[0])
    columns = {
        "ms a step, alone": (1000 * means["step_seconds"]).round(2),
        f"ms a step and text, {batch} together": (1000 * means["batched_step_seconds"]).round(2),
        "steps": means["steps"].round(0),
        "solved": means["solved"].round(2),
        "seconds a fit, alone": means["seconds"].round(1),
        f"seconds a fit, {batch} together": means["batched_seconds"].round(1),
        "seconds a fit, as recorded": means["recorded_seconds"].round(1),
        "paper, seconds a fit": means["paper"],
        "steps in the paper's time": (means["paper"] / means["step_seconds"]).round(0),
    }
    return pd.DataFrame(columns).dropna(axis=1, how="all").astype(object).fillna("–")


def figure(df: pd.DataFrame) -> Figure:
    """Milliseconds a step and text against N; seconds a fit against N, with the paper's models."""
    made, (left, right) = plots.figure(2)
    models = list(dict.fromkeys(df["model"]))
    styles = plots.line_styles(models)
    means = df.groupby(["model", "n_tokens"]).mean(numeric_only=True)
    for model, style in styles.items():
        rows = means.loc[model]
        colour, marker = style["color"], style["marker"]
        for column, dash, label in (
            ("step_seconds", "-", model),
            ("batched_step_seconds", ":", None),
        ):
            left.plot(
                rows.index, 1000 * rows[column], dash, color=colour, marker=marker, label=label
            )
        for column, dash in (("seconds", "-"), ("batched_seconds", ":")):
            right.plot(rows.index, rows[column], dash, color=colour, marker=marker)
    theirs = published("training_seconds")
    for i, (model, rows) in enumerate(theirs.groupby("model", sort=False)):
        marker = plots.MARKERS[i]
        right.plot(
            rows["n_tokens"],
            rows["seconds"],
            "--",
            marker=marker,
            mfc="none",
            lw=0.8,
            color="#777777",
            label=f"paper: {model}",
        )
    left.set(xlabel="tokens N", ylabel="milliseconds a step and text", yscale="log")
    right.set(xlabel="tokens N", ylabel="seconds a fit", yscale="log")
    plots.powers_axis(left, df["n_tokens"])
    plots.powers_axis(right, [*df["n_tokens"], *theirs["n_tokens"]])
    left.legend()
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return made


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
        f"Timed on {', '.join(sorted(df['device'].unique()))} "
        f"({', '.join(sorted(df['dtype'].unique()))}), profile {df['profile'].iloc[0]}; {counted}."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """A fit takes no longer than in the paper, where one of its models was fitted."""
    if df.empty or not all(tested(model) for model in df["model"]):
        return []
    both = df.assign(ratio=df["seconds"] / _paper(df)).dropna(subset="ratio")
    by_text = both.groupby("text")["ratio"].mean()
    enough = df["on_gpu"].all() and len(by_text) > 0
    numbers = bootstrap_interval(by_text) if len(by_text) else (None, None, None)
    return [
        verdict_on(
            df,
            numbers,
            lambda r: r < 1.5,
            enough,
            id="A6.seconds",
            experiment="training_time",
            claim="A fit takes seconds to minutes on a GPU: our seconds, one text at a time, ÷ the "
            "paper's for the same model and N",
            published="6 s (Pythia-160M, N = 32) to 261 s (Llama-3.2-3B, N = 512)",
            n=len(by_text),
            criterion="mean ratio below 1.5, whole interval over texts; needs fits of the paper's "
            "models on a GPU",
        )
    ]
