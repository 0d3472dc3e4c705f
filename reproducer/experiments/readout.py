"""A10: can proto-tokens be read without decoding? (Mezentsev & Oseledets, §4)

The model writes on after `e`, `m` and combinations with its beginning-of-text token; what it
writes is compared with the text and with what precedes the text.
"""

from __future__ import annotations

from typing import get_args

import pandas as pd
from pydantic import Field

from reproducer.analysis.dyads import gain_interval, gains
from reproducer.experiments import base, plots
from reproducer.experiments.cells import number, table_of, with_interval
from reproducer.experiments.claims import Part, Verdict, above, below, judge, verdict
from reproducer.experiments.profiles import ExperimentParams
from reproducer.models.card import model_card
from reproducer.readings.readout import CONTROLS, Prompt, ReadoutSpec, distinct
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.solutions import accuracies
from reproducer.results.specs import Result, Spec
from reproducer.texts.sentence_encoder import EMBEDDED
from reproducer.texts.sources import passages

POSITIVE_CONTROL = "BOS text"
REFERENCES = ("text", "context")
UNRELATED = below(0.1, "a tenth of the way from unrelated texts to equal ones")
CAN_TELL = above(0.1, "as far from unrelated as the criterion asks")

PROTOCOL = base.Protocol(
    paper="For 50 texts of 128 tokens the model writes on after e, m and combinations with its "
    "beginning-of-text token; the authors read what it writes.",
    ours="The similarity of what is written to the text, measured by a sentence encoder, minus "
    "what other texts have. A control that is given the text itself must be told from unrelated.",
    why="Reading by eye has no interval, and a measure that cannot see a relation would find none.",
)


class Params(ExperimentParams):
    """Texts of `n_tokens` tokens, each with its own `e` and `m`.

    After each of `prompts` and the controls the model writes `n_new_tokens` tokens, at each of
    `temperatures` (0 is greedy). The context is the `context_tokens` tokens before the text.
    Fits with an accuracy below `min_accuracy` are left out and counted.
    """

    source: base.PassageSource = "unseen"
    n_texts: int = Field(50, ge=2)
    n_tokens: int = Field(128, ge=1)
    context_tokens: int = Field(128, ge=1)
    n_new_tokens: int = Field(256, ge=2)
    prompts: tuple[Prompt, ...] = Field(get_args(Prompt)[: -len(CONTROLS)], min_length=1)
    temperatures: tuple[float, ...] = Field((0.0, 1.0), min_length=1)
    arrangement: base.ArrangementName | None = None
    min_accuracy: float = Field(1.0, ge=0, le=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The fits; once they are known, what the model writes; then what all of that means."""
    wanted = fits(params)
    results = known.all(wanted)
    if len(results) < len(wanted):
        return wanted
    written = readouts(params, results)
    return [*wanted, *written, *(s for r in known.all(written) for s in meanings(params, r))]


def fits(params: Params) -> list[FitSpec]:
    """One fit for each text."""
    return [base.fit(params, [text]) for text in base.texts_of(params, params.n_tokens)]


def readouts(params: Params, results: list[Result]) -> list[ReadoutSpec]:
    """A read-out of all accurate fits for each prompt, control and temperature."""
    kept = tuple(FitSpec(**result.spec) for result in _accurate(results, params))
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


def _accurate(results: list[Result], params: Params) -> list[Result]:
    return [r for r in results if accuracies(r)[0] >= params.min_accuracy]


def meanings(params: Params, written: Result) -> tuple[SentenceVectorsSpec, ...]:
    """The sentence vectors of what was written, of the texts, and of their contexts."""
    decode = model_card(params.model).tokenizer.decode
    texts = [fit.texts[0] for fit in ReadoutSpec(**written.spec).fits]
    sentences = (
        tuple(decode(row) for row in written.arrays["tokens"].tolist()),
        base.decoded(params, texts),
        tuple(_contexts(params, [text.id for text in texts])),
    )
    return tuple(SentenceVectorsSpec(model=EMBEDDED, sentences=s) for s in sentences)


def _contexts(params: Params, names: list[str]) -> list[str]:
    tokenizer = model_card(params.model).tokenizer
    halves = {p.id: p.first_half for p in passages(params.source) if p.id in names}
    ends = [tokenizer.encode(halves[name])[-params.context_tokens :] for name in names]
    return [tokenizer.decode(end) for end in ends]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each text, prompt and temperature.

    Columns: model, profile, text, prompt, temperature, wanted (the text), generated, distinct_1,
    distinct_2; text_own and context_own, similarities of `generated` to its text and context;
    text_gain and context_gain, what they have over a random pairing
    (`reproducer.analysis.dyads.gains`); n_tokens, recipe, n_texts, n_left_out, device.
    """
    results = known.all(fits(params))
    written = known.all(readouts(params, results))
    frames = [frame for result in written for frame in _frames(result, params, known)]
    if not frames:
        return pd.DataFrame()
    n_texts = len(_accurate(results, params))
    return pd.concat(frames, ignore_index=True).assign(
        **params.model_dump(include={"model", "profile", "n_tokens", "recipe"}),
        n_texts=n_texts,
        n_left_out=len(results) - n_texts,
    )


def _frames(result: Result, params: Params, known: Known) -> list[pd.DataFrame]:
    """The rows of one read-out, if the sentence vectors that they need are known."""
    asked = meanings(params, result)
    vectors = [r.arrays["vectors"].astype(float) for r in known.all(asked)]
    if len(vectors) < len(asked):
        return []
    spec, tokens = ReadoutSpec(**result.spec), result.arrays["tokens"].tolist()
    frame = pd.DataFrame(
        {
            "text": [fit.texts[0].id for fit in spec.fits],
            "prompt": spec.prompt,
            "temperature": spec.temperature,
            "wanted": asked[1].sentences,
            "generated": asked[0].sentences,
            **{f"distinct_{n}": [distinct(row, n) for row in tokens] for n in (1, 2)},
            "device": result.provenance["device"],
        }
    )
    for name, others in zip(REFERENCES, vectors[1:], strict=True):
        similarity = vectors[0] @ others.T
        own = {f"{name}_own": similarity.diagonal(), f"{name}_gain": gains(similarity)}
        frame = frame.assign(**own)
    return [frame]


def table(df: pd.DataFrame) -> pd.DataFrame:
    """Means over texts; gains with 95 % intervals."""
    cells = {}
    for keys, group in df.groupby(["temperature", "prompt"], sort=False) if len(df) else ():
        cells[keys] = {}
        for name in REFERENCES:
            cells[keys][f"similarity to own {name}"] = number(group[f"{name}_own"].mean(), 3)
            gain = gain_interval(group[f"{name}_gain"])
            cells[keys][f"gain, {name}"] = with_interval(gain, 3, signed=True)
        for n in (1, 2):
            cells[keys][f"distinct-{n}"] = number(group[f"distinct_{n}"].mean())
    return table_of(cells, ["temperature", "prompt"])


def figure(df: pd.DataFrame) -> plots.Figure:
    """Gain in similarity over other texts by prompt, with 95 % intervals; controls at the bottom.

    A dotted line stands where a claim's criterion does.
    """
    by_temperature = list(df.groupby("temperature", sort=False)) if len(df) else []
    drawn, axes = plots.panels(len(by_temperature), height=3.6, sharex=True, sharey=True)
    for axis, (temperature, rows) in zip(axes, by_temperature, strict=False):
        prompts = dict(list(rows.groupby("prompt", sort=False)))
        plots.dots(
            axis,
            {
                f"to its {name}": {
                    p: gain_interval(of[f"{name}_gain"]) for p, of in prompts.items()
                }
                for name in REFERENCES
            },
        )
        n_controls = sum(prompt in CONTROLS for prompt in prompts)
        ends = len(prompts) - n_controls - 0.4, len(prompts) - 0.6
        axis.axhspan(*ends, color="#eeeeee", zorder=0, label="controls")
        axis.axvline(0, color="black", lw=0.8)
        axis.axvline(UNRELATED.most, color="black", lw=0.8, ls=":")
        axis.set_title("greedy" if temperature == 0 else f"temperature {temperature:g}")
        axis.set_xlabel("gain in similarity")
    axes[0].set_ylabel("what the model writes after")
    plots.legend(axes[0], ncols=3)
    return drawn


def examples(df: pd.DataFrame, n_texts: int = 2, n_characters: int = 90) -> pd.DataFrame:
    """What was written after each prompt for the first texts, shortened."""
    columns = ["wanted", "temperature", "prompt", "generated"]
    if df.empty:
        return pd.DataFrame(columns=columns)
    some = df[df["text"].isin(df["text"].unique()[:n_texts])]
    cut = {
        name: some[name].str.slice(0, n_characters).map(repr) for name in ("wanted", "generated")
    }
    sort = ["wanted", "temperature"]
    return some.assign(**cut)[columns].sort_values(sort, kind="stable", ignore_index=True)


def note(df: pd.DataFrame) -> str:
    """One line for the page: what was read out, and what was left out."""
    facts = "{n_texts} texts of {n_tokens} tokens, recipe {recipe}; {n_left_out} unsolved left out."
    return base.note(df, facts)


def claims(df: pd.DataFrame) -> list[Verdict]:
    """What the model writes after proto-tokens is unrelated to their text, whatever the prompt."""
    if df.empty:
        return []
    by_prompt = df.groupby(["prompt", "text"], sort=False)["text_gain"].mean()
    intervals = {p: gain_interval(gain) for p, gain in by_prompt.groupby("prompt", sort=False)}
    control = intervals.get(POSITIVE_CONTROL)
    told = control is not None and control.given and judge(control, CAN_TELL) == "for"
    needed = "a positive control (writing after the text itself)"
    return [
        verdict(
            df,
            *(Part(i, UNRELATED, f"after {p}") for p, i in intervals.items() if p not in CONTROLS),
            id="A10.unrelated",
            experiment="readout",
            claim="What the model writes after proto-tokens is unrelated to their text, whatever "
            "the prompt: MiniLM similarity to the text minus that to other texts",
            published="unrelated or meaningless, judged by eye",
            unit="texts",
            untested="" if told else f"{needed} whose whole interval is {CAN_TELL}",
        )
    ]
