"""A10: can proto-tokens be read without decoding? (Mezentsev & Oseledets, §4)

The model writes on after `e`, `m` and combinations with its beginning-of-text token. The paper
judges by eye that what comes is unrelated or meaningless; here its similarity to the text and
to what precedes the text is compared with that to other texts.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import default_arrangement, results_of, tested
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.readings.readout import CONTROLS, Prompt, ReadoutSpec, distinct
from reproducer.results.run import cached_lm
from reproducer.results.specs import FitSpec, Spec
from reproducer.results.store import Result
from reproducer.solver.recipes import recipe
from reproducer.texts.sentence_encoder import encode
from reproducer.texts.sources import halves, load_texts, passages, tokenize

UNRELATED = 0.1  # gain in cosine similarity below which texts count as unrelated
MIN_TEXTS = 4


class Params(ExperimentParams):
    """Texts of `n_tokens` tokens, each with its own `e` and `m`.

    After each of `prompts` and the controls the model writes `n_new_tokens` tokens, at each of
    `temperatures` (0 is greedy). The context is the `context_tokens` tokens before the text.
    Fits with an accuracy below `min_accuracy` are left out and counted.
    """

    n_texts: int = Field(50, ge=2)
    n_tokens: int = Field(128, ge=1)
    context_tokens: int = Field(128, ge=1)
    n_new_tokens: int = Field(256, ge=2)
    prompts: tuple[Prompt, ...] = Field(get_args(Prompt)[: -len(CONTROLS)], min_length=1)
    temperatures: tuple[float, ...] = Field((0.0, 1.0), min_length=1)
    arrangement: str | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)


def fits(params: Params) -> list[FitSpec]:
    """One fit for each text."""
    lm = cached_lm(params.model)
    return [
        FitSpec(
            model=params.model,
            arrangement=default_arrangement(params.arrangement, lm),
            texts=(text.prefix(params.n_tokens),),
            seed=params.seed,
            recipe=recipe(params.recipe, max_steps=params.max_steps),
        )
        for text in load_texts(params.source, lm, params.n_texts, params.n_tokens)
    ]


def readouts(params: Params, results: list[Result]) -> list[ReadoutSpec]:
    """A read-out of all accurate fits for each prompt, control and temperature."""
    kept = tuple(FitSpec(**r.spec) for r in results if _accurate(r, params))
    if len(kept) < 2:
        return []
    return [
        ReadoutSpec(
            model=params.model,
            fits=kept,
            prompt=prompt,
            n_new_tokens=params.n_new_tokens,
            temperature=temperature,
            seed=params.seed,
        )
        for temperature in params.temperatures
        for prompt in dict.fromkeys((*params.prompts, *CONTROLS))
    ]


def _accurate(result: Result, params: Params) -> bool:
    return result.metrics["accuracy"][0] >= params.min_accuracy


def specs(params: Params) -> list[Spec]:
    """The fits; once they are stored, also the read-outs."""
    first = fits(params)
    known = results_of(first, compute_missing=False)
    return [*first, *(readouts(params, known) if len(known) == len(first) else [])]


def collect(params: Params, compute_missing: bool = True) -> pd.DataFrame:
    """One row for each text, prompt and temperature.

    Columns: model, profile, text, prompt, temperature, wanted (the text), generated, distinct_1,
    distinct_2; text_own and context_own, similarities of `generated` to its text and context;
    text_others and context_others, their means over the other texts; text_gain and context_gain,
    own minus others; n_tokens, recipe, n_texts, n_left_out, device.

    Raises:
        ReproducerError: fewer than two fits are accurate enough.
    """
    results = results_of(fits(params), compute_missing)
    wanted = readouts(params, results)
    if not wanted:
        if compute_missing:
            raise ReproducerError(
                f"expected at least 2 fits of accuracy {params.min_accuracy:g}, got "
                f"{sum(_accurate(r, params) for r in results)} of {len(results)}; allow more "
                "steps or fit fewer tokens"
            )
        return pd.DataFrame()
    found = results_of(wanted, compute_missing)
    if not found:
        return pd.DataFrame()
    df = pd.concat([_frame(result, params) for result in found], ignore_index=True)
    n_texts = len(wanted[0].fits)
    return df.assign(
        model=params.model,
        profile=params.profile,
        n_tokens=params.n_tokens,
        recipe=params.recipe,
        n_texts=n_texts,
        n_left_out=len(results) - n_texts,
    )


def _frame(result: Result, params: Params) -> pd.DataFrame:
    lm = cached_lm(params.model)
    spec = ReadoutSpec(**result.spec)
    texts = [fit.texts[0] for fit in spec.fits]
    tokens = result.arrays["tokens"].tolist()
    generated = [lm.tokenizer.decode(row, skip_special_tokens=True) for row in tokens]
    wanted = [lm.tokenizer.decode(text.tokens) for text in texts]
    vectors = encode(generated)
    frame = pd.DataFrame(
        {
            "text": [text.id for text in texts],
            "prompt": spec.prompt,
            "temperature": spec.temperature,
            "wanted": wanted,
            "generated": generated,
            "distinct_1": [distinct(row, 1) for row in tokens],
            "distinct_2": [distinct(row, 2) for row in tokens],
            "device": result.provenance["device"],
        }
    )
    references = {"text": wanted, "context": _contexts(params, [text.id for text in texts])}
    for name, strings in references.items():
        own, others = own_and_others((vectors @ encode(strings).T).numpy())
        frame = frame.assign(
            **{f"{name}_own": own, f"{name}_others": others, f"{name}_gain": own - others}
        )
    return frame


def own_and_others(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The diagonal of (n, n), and each row's mean off it: what a random pairing would give."""
    own = similarity.diagonal()
    return own, (similarity.sum(1) - own) / (len(similarity) - 1)


def _contexts(params: Params, names: list[str]) -> list[str]:
    lm = cached_lm(params.model)
    by_name = dict(passages(params.source))
    tokens = [tokenize(lm, halves(by_name[name])[0])[-params.context_tokens :] for name in names]
    return [lm.tokenizer.decode(row) for row in tokens]


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Means over texts; gains with 95 % bootstrap intervals."""
    rows = {}
    for keys, group in df.groupby(["temperature", "prompt"], sort=False):
        cells = {}
        for name in ("text", "context"):
            centre, low, high = bootstrap_interval(group[f"{name}_gain"])
            cells[f"similarity to own {name}"] = f"{group[f'{name}_own'].mean():.3f}"
            cells[f"to other {name}s"] = f"{group[f'{name}_others'].mean():.3f}"
            cells[f"gain, {name}"] = f"{centre:+.3f} [{low:+.3f}, {high:+.3f}]"
        rows[keys] = cells | {
            f"distinct-{n}": f"{group[f'distinct_{n}'].mean():.2f}" for n in (1, 2)
        }
    made = pd.DataFrame.from_dict(rows, orient="index")
    made.index.names = ["temperature", "prompt"]
    return made


def figure(df: pd.DataFrame) -> Figure:
    """Gain in similarity over other texts by prompt, with 95 % intervals; controls on the right."""
    temperatures = list(dict.fromkeys(df["temperature"]))
    made, axes = plots.figure(len(temperatures), squeeze=False, sharey=True)
    styles = plots.line_styles(("text", "context"))
    for axis, temperature in zip(axes[0], temperatures, strict=True):
        groups = dict(list(df[df["temperature"] == temperature].groupby("prompt", sort=False)))
        for shift, (name, style) in zip((-0.1, 0.1), styles.items(), strict=True):
            found = [bootstrap_interval(group[f"{name}_gain"]) for group in groups.values()]
            centre, low, high = np.array(found).T
            place = np.arange(len(groups)) + shift
            bars = {"color": style["color"], "marker": style["marker"], "linestyle": ""}
            axis.errorbar(
                place, centre, [centre - low, high - centre], label=name, capsize=2, **bars
            )
        axis.axhline(0, color="black", lw=0.8)
        axis.axvline(len(groups) - len(CONTROLS) - 0.5, color="black", lw=0.8, ls=":")
        axis.set_xticks(range(len(groups)), list(groups), rotation=45, ha="right")
        title = "greedy" if temperature == 0 else f"sampled, temperature {temperature:g}"
        axis.set(xlabel="what the model writes after", title=title)
    axes[0, 0].set_ylabel("similarity to own, minus to others'")
    axes[0, -1].legend(title="similarity to", loc="upper left", bbox_to_anchor=(1, 1))
    return made


def examples(df: pd.DataFrame, n_texts: int = 2, n_characters: int = 90) -> pd.DataFrame:
    """What was written after each prompt for the first texts, shortened."""
    some = df[df["text"].isin(df["text"].unique()[:n_texts])]
    cut = {
        name: some[name].str.slice(0, n_characters).map(repr) for name in ("wanted", "generated")
    }
    return some.assign(**cut)[["wanted", "temperature", "prompt", "generated"]].sort_values(
        ["wanted", "temperature"], kind="stable", ignore_index=True
    )


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was read out, and what was left out."""
    if df.empty:
        return "No result of this profile is stored."
    first = df.iloc[0]
    return (
        f"Computed with {first['model']} on {first['device']}, profile {first['profile']}: "
        f"{first['n_texts']} texts of {first['n_tokens']} tokens, recipe {first['recipe']}; "
        f"{first['n_left_out']} unsolved "
        "fits left out."
    )


def claims(df: pd.DataFrame) -> list[Verdict]:
    """What the model writes after proto-tokens is unrelated to their text."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    trained = df[~df["prompt"].isin(CONTROLS)]
    by_text = trained.groupby("text")["text_gain"].mean()
    control = df[df["prompt"] == "BOS text"].groupby("text")["text_gain"].mean().mean()
    enough = len(by_text) >= MIN_TEXTS and control > UNRELATED
    return [
        verdict_on(
            df,
            bootstrap_interval(by_text),
            lambda g: g < UNRELATED,
            enough,
            id="A10.unrelated",
            experiment="readout",
            claim="Generation from proto-tokens is unrelated to their text: MiniLM similarity to "
            "the text minus that to other texts, mean over prompts",
            published="unrelated or meaningless, judged by eye",
            n=len(by_text),
            criterion=f"below {UNRELATED}, whole interval over texts; needs {MIN_TEXTS} or more "
            f"texts, and more than {UNRELATED} after the text itself, which shows that the measure "
            "can tell",
        )
    ]
