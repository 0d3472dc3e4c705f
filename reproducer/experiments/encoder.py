"""Can one pass replace the fit: text in, `e` out? The papers name this as the next step.

An encoder is trained through the frozen model's loss, with one `m` for all texts, and is tested on
texts that it never saw: how much comes back in one pass, and how much sooner a fit ends that starts
at its `e`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, model_validator

from reproducer.experiments import base, cells, encoder_texts, plots
from reproducer.experiments.encoder_claims import ENCODED, claims
from reproducer.experiments.encoder_texts import MOST_OPENINGS, MOST_TEXTS, WRITTEN
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.recipes import TARGET, arrivals, draw_curves
from reproducer.experiments.recipes import table as fits_by_recipe
from reproducer.readings.continuations import ContinuationSpec
from reproducer.readings.encoder import EncodedFitSpec, EncodedSpec, EncoderSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.specs import Result, Spec
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text, load_texts

__all__ = ["PROTOCOL", "Params", "claims", "figure", "note", "rows", "specs", "starts", "table"]

# Beside its own state the first position forgets no long input, so `e` may predict there.
ARRANGEMENT = "[e] [m]x(N-1)"
DESIGNS: dict[str, dict[str, float | str]] = {
    "linear": {"n_blocks": 0},
    "embeddings": {},
    "states": {"reads": "states"},
    "short": {"rms": 1.0},  # vectors as long as the papers' starts
}
START = "long"  # the recipe that a fit from an encoder's `e` follows

PROTOCOL = base.Protocol(
    paper="Both papers fit every text, and name an encoder that gives e in one pass as their next "
    "step.",
    ours="A small network, trained through the frozen model's cross-entropy on "
    "prose that the tests do not hold, with one m for all texts; then one pass for each text: of "
    "prose, of random words, and of what the model itself writes (sampled). "
    "Three other e stand beside its own: the mean of all, that of the nearest other text, and a "
    "drawn one. A fit that starts at the encoder's e and m is held against fits of other recipes, "
    "text by text.",
    why="Prose can be guessed in part: only what other e do not give back has been read from e.",
)


class Params(ExperimentParams):
    """Encoders for texts of `lengths` tokens, each starting at the one before.

    `text_steps`: what each of them is trained for; with a length twice, training goes on. `dtypes`:
    what the frozen model computes in meanwhile (empty: float32). They learn from passages, and from
    what the model writes after `sampled_contexts` openings. `designs` are compared at the length
    `compared_at` (None: the last), each from its own start, after `design_text_steps` text-steps,
    on prose, if it is among the sources. Of each text of `sources` ("sampled": written by the model
    itself after openings that it does not learn from), `windows` stretches are encoded. The first
    stretch of each text of the first source is fitted at the lengths `fitted_at` (empty:
    `compared_at`), from the encoder's vectors and under `recipes`.
    """

    UNUSED = ("recipe", "source")
    REPEATING = ("lengths", "text_steps", "dtypes", "recipes")

    n_texts: int = Field(MOST_TEXTS, ge=2, le=MOST_TEXTS)
    sources: tuple[Literal["unseen", "random", "sampled"], ...] = Field(
        ("unseen", "random", "sampled"), min_length=1
    )
    lengths: tuple[Annotated[int, Field(ge=1)], ...] = Field((2, 4), min_length=1)
    text_steps: tuple[Annotated[int, Field(ge=1)], ...] = Field((20_000, 60_000), min_length=1)
    dtypes: tuple[Literal["float32", "bfloat16"], ...] = ()
    compared_at: int | None = None
    fitted_at: tuple[int, ...] = ()
    windows: int = Field(4, ge=1)
    sampled_contexts: int = Field(0, ge=0, le=MOST_OPENINGS)
    width: int = Field(1024, ge=8, multiple_of=8)
    batch: int = Field(16, ge=1)
    designs: tuple[Literal["linear", "embeddings", "states", "short"], ...] = tuple(DESIGNS)
    design_text_steps: int = Field(4000, ge=1)
    recipes: tuple[base.RecipeName, ...] = ("fast", "long")

    @model_validator(mode="after")
    def _stages(self) -> Params:
        if len(self.lengths) != len(self.text_steps):
            raise ValueError(
                f"expected as many text_steps as lengths, got {len(self.text_steps)} for "
                f"{len(self.lengths)}"
            )
        if len(self.dtypes) not in (0, len(self.lengths)):
            raise ValueError(
                f"expected no dtypes, or as many as lengths, got {len(self.dtypes)} for "
                f"{len(self.lengths)}"
            )
        at = () if self.compared_at is None else (self.compared_at,)
        for name, asked in (("compared_at", at), ("fitted_at", self.fitted_at)):
            if not {*asked} <= {*self.lengths}:
                raise ValueError(
                    f"expected {name} among the lengths {list(self.lengths)}, got "
                    f"{', '.join(map(str, asked))}"
                )
        if list(self.lengths) != sorted(self.lengths):
            raise ValueError(f"expected lengths that do not fall, got {list(self.lengths)}")
        return self

    @property
    def n_tokens(self) -> int:
        """The length at which designs and fits are compared."""
        return self.compared_at or self.lengths[-1]

    @property
    def stages(self) -> list[tuple[int, int, str]]:
        """Length, text-steps and dtype of each encoder."""
        dtypes = self.dtypes or ("float32",) * len(self.lengths)
        return list(zip(self.lengths, self.text_steps, dtypes, strict=True))


def specs(params: Params, known: Known) -> list[Spec]:
    """The encoder that is compared; texts that are sampled; what encoders make of texts; fits."""
    return [
        compared(params),
        *written(params),
        *readings(params, known).values(),
        *fits(params, known),
    ]


def encoder(params: Params, stages: int | None = None) -> EncoderSpec:
    """The encoder of the last stage, or of the last of so many; it starts at those before."""
    spec = None
    for n_tokens, text_steps, dtype in params.stages[:stages]:
        spec = _encoder(params, n_tokens, text_steps, begun=spec, dtype=dtype)
    return spec


def compared(params: Params) -> EncoderSpec:
    """The last encoder of the length at which designs and fits are compared."""
    return encoder(params, len(params.lengths) - params.lengths[::-1].index(params.n_tokens))


def _encoder(params: Params, n_tokens: int, text_steps: int, **fields: Any) -> EncoderSpec:
    return EncoderSpec(
        arrangement=ARRANGEMENT,
        n_tokens=n_tokens,
        text_steps=text_steps,
        passages=encoder_texts.learned(params.model),
        sampled=encoder_texts.sampled(params.model, params.sampled_contexts),
        **params.model_dump(include={"model", "width", "batch", "seed"}),
        **fields,
    )


def written(params: Params) -> list[ContinuationSpec]:
    """The texts of the source "sampled", each long enough for every encoder."""
    if WRITTEN not in params.sources:
        return []
    n_tokens = params.windows * params.lengths[-1]
    return encoder_texts.written(params.model, params.n_texts, n_tokens)


def readings(params: Params, known: Known) -> dict[tuple[str, str], EncodedSpec]:
    """What encoders make of texts, by the encoder's name and the source.

    Those trained in stages read each source that is known, the designs prose alone.
    """
    encoders = {}
    for stage, n_tokens in enumerate(params.lengths, start=1):  # the last of a length counts
        spec = encoder(params, stage)
        encoders |= {(f"trained for N = {n_tokens}", source): spec for source in params.sources}
    for design in params.designs:
        spec = _encoder(params, params.n_tokens, params.design_text_steps, **DESIGNS[design])
        source = "unseen" if "unseen" in params.sources else params.sources[0]
        encoders[f"design {design}", source] = spec
    texts = {
        place: stretches(params, place[1], spec.n_tokens, known) for place, spec in encoders.items()
    }
    return {
        place: EncodedSpec(model=params.model, encoder=spec, texts=texts[place], seed=params.seed)
        for place, spec in encoders.items()
        if texts[place]
    }


def stretches(
    params: Params, source: str, n_tokens: int, known: Known | None = None
) -> tuple[Text, ...]:
    """The first `windows` stretches of each text of a source; none until all are written."""
    n_read = n_tokens * params.windows
    if source == WRITTEN:
        texts = encoder_texts.read_back(written(params), known) if known else []
    else:
        texts = load_texts(source, params.model, params.n_texts, n_read)
    cut = (text.prefix(n_read) for text in texts)
    return tuple(stretch for text in cut for stretch in text.stretches(n_tokens))


def fits(params: Params, known: Known) -> list[FitSpec]:
    """Those of every length in `fitted_at`; none until their texts are written."""
    asked = readings(params, known)
    places = [
        (f"trained for N = {n_tokens}", params.sources[0])
        for n_tokens in params.fitted_at or [params.n_tokens]
    ]
    return [spec for place in places if place in asked for spec in _fits(params, asked[place])]


def _fits(params: Params, asked: EncodedSpec) -> list[FitSpec]:
    """One fit of each text from the encoder's vectors, and one under each recipe, with traces.

    Recipes with starts of usual length are used as elsewhere, in the model's own arrangement.
    """
    first = asked.texts[:: params.windows]
    long = {"arrangement": ARRANGEMENT, "trace": True}
    as_long = recipe(START, params.max_steps).model_copy(update={"name": ENCODED})
    encoded = (
        EncodedFitSpec(model=params.model, encoded=asked, texts=(text,), recipe=as_long, **long)
        for text in first
    )
    recipes = (recipe(name, params.max_steps) for name in params.recipes)
    usual = {"trace": True}
    cold = (
        base.fit(params, [text], recipe=chosen, **(long if chosen.init_std > 1 else usual))
        for chosen in recipes
        for text in first
    )
    return [*encoded, *cold]


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row for each stretch and encoder (`task` "encode"), one for each fit ("fit").

    Columns of both: task, model, profile, source, text, passage, n_tokens, compared (whether that
    is the length that is compared), accuracy, device. Of stretches: encoder; text_steps and
    n_parameters of its training; mean, nearest and drawn, the accuracies that other `e` give;
    curve_text_steps and curve, of the training. Of fits: recipe; curve, arrived and censored as in
    `reproducer.experiments.recipes`.
    """
    frames = [
        _encoded(known.get(spec), name, source, params)
        for (name, source), spec in readings(params, known).items()
        if spec in known
    ]
    results = known.all(fits(params, known))
    frames += [_fitted(results, params)] if results else []
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).assign(model=params.model, profile=params.profile)


def _encoded(result: Result, name: str, source: str, params: Params) -> pd.DataFrame:
    texts = result.spec["texts"]
    training, arrays = result.metrics, result.arrays
    by_e = {e: arrays[f"correct_{e}"].mean(1) for e in EncodedSpec.E_FROM}
    return pd.DataFrame(
        {
            "task": "encode",
            "encoder": name,
            "source": source,
            "text": [text["id"] for text in texts],
            "n_tokens": len(texts[0]["tokens"]),
            "compared": len(texts[0]["tokens"]) == params.n_tokens,
            "text_steps": training["text_steps"][-1],
            "n_parameters": training["n_parameters"],
            "accuracy": by_e.pop("encoder"),
            **by_e,
            "curve_text_steps": [training["text_steps"]] * len(texts),
            "curve": [training["accuracy"]] * len(texts),
            "device": result.provenance["device"],
        }
    ).assign(passage=lambda df: df["text"].str.partition("[")[0])


def _fitted(results: list[Result], params: Params) -> pd.DataFrame:
    kept = ["source", "text", "n_tokens", "accuracy", "recipe", "device"]
    frame = arrivals(results, params)[[*kept, "curve", "arrived", "censored"]]
    return frame.assign(
        task="fit",
        passage=frame["text"].str.partition("[")[0],
        compared=frame["n_tokens"] == params.n_tokens,
    )


def table(df: pd.DataFrame) -> pd.DataFrame:
    """What comes back in one pass, for each encoder and source, and what other `e` give back."""
    lines = {}
    encoded = df[df["task"] == "encode"] if len(df) else df
    for keys, group in encoded.groupby(["encoder", "source"], sort=False) if len(df) else ():
        lines[keys] = {
            "N": f"{group['n_tokens'].iloc[0]}",
            "text-steps": f"{group['text_steps'].iloc[0]:,.0f}",
            "texts": f"{len(group)}",
            "tokens back": cells.share(group["accuracy"].mean()),
            "whole texts": cells.share((group["accuracy"] == 1).mean()),
            **{f"{e} e": cells.share(group[e].mean()) for e in EncodedSpec.E_FROM[1:]},
        }
    return cells.table_of(lines, ["encoder", "source"])


def starts(df: pd.DataFrame) -> pd.DataFrame:
    """Fits from the encoder's vectors and under other recipes, as on the page on recipes, by N."""
    fitted = df[df["task"] == "fit"] if len(df) else df
    if fitted.empty:
        return fits_by_recipe(fitted)
    by_length = fitted.astype({"censored": bool}).groupby("n_tokens")
    return pd.concat({n: fits_by_recipe(fits) for n, fits in by_length}, names=["N"])


def figure(df: pd.DataFrame) -> plots.Figure:
    """Accuracy against text-steps of training; best accuracy so far against the step of a fit."""
    if df.empty:
        return plots.nothing("no encoder")
    drawn, (left, right) = plots.panels(2, height=3.6)
    encoded, fitted = (df[df["task"] == task] for task in ("encode", "fit"))
    first = encoded.drop_duplicates("encoder").set_index("encoder")
    for name, style in plots.line_styles(first.index).items():
        at, curve = first.at[name, "curve_text_steps"], first.at[name, "curve"]
        left.plot(at, curve, **style | {"markevery": max(1, len(at) // 6), "label": name})
    left.set(xlabel="text-steps of training", ylabel="accuracy in training", ylim=(-0.03, 1.05))
    draw_curves(right, fitted[fitted["compared"].astype(bool)])
    right.axhline(TARGET, color="#777777", lw=0.8)
    right.set(xlabel="optimizer step of a fit", ylabel="best accuracy so far", xscale="log")
    plots.legend(left, right)
    return drawn


def note(df: pd.DataFrame) -> str:
    """One line for the page: which encoder, tested on how many texts."""
    trained = df[df["encoder"].str.startswith("trained", na=False)] if len(df) else df
    last = trained[trained["compared"].astype(bool)] if len(trained) else trained
    return base.note(last, "an encoder of {n_parameters:,.0f} weights.")
