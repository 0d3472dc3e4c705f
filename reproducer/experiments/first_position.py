"""Why the first position fails: what it can be made to say, and what hides its input. (ours)

The account that is tested: an input that has nothing but itself to attend to is turned by the
trained weights into one very long state, whatever it was. The final norm divides by that length,
so little of the input is left in what the position predicts. If that is so, few words can be
reached there; keeping the state short, or starting from an input longer than that state, brings
them back; and weights that were never trained do not have the fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, PositiveFloat

from reproducer.analysis.intervals import share_interval
from reproducer.experiments import plots
from reproducer.experiments.base import PROVENANCE_COLUMNS, Protocol, fit, texts_of
from reproducer.experiments.cells import with_interval
from reproducer.experiments.first_position_claims import ARRANGEMENT, CLAMPED, FREE, claims
from reproducer.experiments.profiles import ExperimentParams
from reproducer.models.card import model_card
from reproducer.readings.clamping import ClampedSpec
from reproducer.readings.gradients import GradientSpec
from reproducer.readings.reach import ReachSpec
from reproducer.readings.state_lengths import StateLengthsSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.solutions import accuracies
from reproducer.results.specs import Result, Spec
from reproducer.solver.recipes import recipe, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PROTOCOL", "Params", "claims", "figure", "rows", "specs", "table"]
PROTOCOL = Protocol(
    paper="No such question: on the papers' models an e at the first position predicts its token.",
    ours="A sample of the vocabulary, each word fitted by itself: one vector whose position must "
    "say it. At the first position, after the beginning-of-text token, from starts of several "
    "lengths, with the state's length clamped, and on untrained weights.",
    why="That a token is lost does not say why. Each of these changes one thing.",
)


class Params(ExperimentParams):
    """`n_words` tokens drawn from the vocabulary; `controls`: models beside `model`.

    `scales`: standard deviations of the start, the least first, with the learning rate in
    proportion. `n_tokens`: length of the texts that are fitted with the first position clamped, and
    from starts `text_scale` times as long. `n_draws`: pairs of tokens whose gradients are read.
    """

    arrangements: ClassVar[tuple[str, ...]] = (ARRANGEMENT,)

    controls: tuple[str, ...] = ("random:smollm2-135m", "random:pythia-160m")
    n_words: int = Field(64, ge=1)
    scales: tuple[PositiveFloat, ...] = Field((1, 3, 10, 30, 1000), min_length=2)
    n_tokens: int = Field(8, ge=2)
    text_scale: PositiveFloat = 30
    text_recipe: str = "paper"
    text_steps: int = Field(1000, ge=1)
    n_draws: int = Field(32, ge=1)
    recipe: str = "grow"
    max_steps: int = Field(300, ge=1)


def specs(params: Params, known: Known) -> list[Spec]:
    """The reach of each position, the clamped fits beside the free ones, and the gradients."""
    free = texts(params)
    return [
        *(spec for model in _models(params) for _, _, spec in reaches(params, model)),
        clamped(params, words_at(params, params.model)),
        *free,
        *texts(params, params.text_scale),
        clamped(params, free),
        gradients(params),
        *(lengths(params, scale) for scale in _text_scales(params)),
    ]


def reaches(params: Params, model: str) -> Iterator[tuple[int, float, ReachSpec]]:
    """(position, scale, spec): the first position from each scale, the second from the least.

    Controls start from the least scale alone.
    """
    for scale in params.scales if model == params.model else params.scales[:1]:
        yield from ((1, scale, spec) for spec in words_at(params, model, scale))
    least = params.scales[0]
    begin = (model_card(model).bos_token_id,)
    yield from ((2, least, spec) for spec in words_at(params, model, least, begin))


def words_at(
    params: Params, model: str, scale: float | None = None, before: tuple[int, ...] = ()
) -> list[ReachSpec]:
    """One spec a word, from starts of one scale (None: the least), after the tokens `before`."""
    rule = scaled(recipe(params.recipe, params.max_steps), scale or params.scales[0])
    return [
        ReachSpec(model=model, recipe=rule, seed=params.seed, word=word, before=before)
        for word in sampled_words(params, model)
    ]


def sampled_words(params: Params, model: str) -> list[int]:
    """`n_words` different token ids, drawn evenly from the vocabulary."""
    size = model_card(model).config["vocab_size"]
    draw = np.random.default_rng(params.seed)
    return sorted(draw.choice(size, min(params.n_words, size), replace=False).tolist())


def texts(params: Params, scale: float = 1.0) -> list[FitSpec]:
    """Texts whose first token is predicted by an `e` at the first position.

    From the recipe's own start, or from one `scale` times as long.
    """
    rule = recipe(params.text_recipe, params.text_steps)
    rule = rule if scale == 1 else scaled(rule, scale)
    return [
        fit(params, [text], arrangement=ARRANGEMENT, recipe=rule)
        for text in texts_of(params, params.n_tokens)
    ]


def clamped(params: Params, fits: Sequence[ReachSpec | FitSpec]) -> ClampedSpec:
    """All of `fits` again, with the first position's state kept short."""
    return ClampedSpec(model=params.model, fits=tuple(fits))


def gradients(params: Params) -> GradientSpec:
    """How far an input turns the state of its own position, at the first and at the second."""
    return GradientSpec(model=params.model, n_draws=params.n_draws)


def lengths(params: Params, scale: float) -> StateLengthsSpec:
    """How long the states of the fitted texts are."""
    return StateLengthsSpec(model=params.model, fits=tuple(texts(params, scale)))


def rows(params: Params, known: Known) -> pd.DataFrame:
    """A row for each word or text and condition; by layer, for each gradient and state's length.

    Columns: model, task ("word", "text", "gradient" or "length"), position, scale, state (`FREE` or
    `CLAMPED`), item, right (1 or 0), layer, turn, rank, length, profile and provenance.
    """
    found = [
        *_reached(params, known),
        *_texts_read(params, known),
        *_turns(params, known),
        *_lengths_read(params, known),
    ]
    return pd.DataFrame(found).assign(profile=params.profile) if found else pd.DataFrame()


def _reached(params: Params, known: Known) -> Iterator[dict]:
    for model in _models(params):
        for position, scale, spec in reaches(params, model):
            if (result := known.get(spec, arrays=False)) is not None:
                right = accuracies(result)[0]
                yield _row(result, "word", position, scale, FREE, spec.word, right)
    wanted = words_at(params, params.model)
    if (result := known.get(clamped(params, wanted), arrays=False)) is not None:
        for spec, right in zip(wanted, result.metrics["first"], strict=True):
            yield _row(result, "word", 1, params.scales[0], CLAMPED, spec.word, right)


def _texts_read(params: Params, known: Known) -> Iterator[dict]:
    for scale in _text_scales(params):
        for spec in texts(params, scale):
            if (result := known.get(spec)) is not None:
                right = result.arrays["correct"][0, 0]
                yield _row(result, "text", 1, scale, FREE, spec.texts[0].id, right)
    wanted = texts(params)
    if (result := known.get(clamped(params, wanted), arrays=False)) is not None:
        for spec, right in zip(wanted, result.metrics["first"], strict=True):
            yield _row(result, "text", 1, 1.0, CLAMPED, spec.texts[0].id, right)


def _turns(params: Params, known: Known) -> Iterator[dict]:
    if (result := known.get(gradients(params))) is None:
        return
    turn, rank = result.arrays["turn"], result.arrays["rank"]
    for draw, place, number in np.ndindex(turn.shape):
        position = result.spec["positions"][number]
        yield {
            **_row(result, "gradient", position, 1.0, FREE, draw, np.nan),
            "layer": result.metrics["layers"][place],
            "turn": float(turn[draw, place, number]),
            "rank": float(rank[draw, place, number]),
        }


def _lengths_read(params: Params, known: Known) -> Iterator[dict]:
    for scale in _text_scales(params):
        if (result := known.get(lengths(params, scale))) is None:
            continue
        found, fits = result.arrays["length"][:, :, :2], texts(params, scale)
        for number, layer, place in np.ndindex(found.shape):
            item = fits[number].texts[0].id
            row = _row(result, "length", place + 1, scale, FREE, item, np.nan)
            yield row | {"layer": layer, "length": float(found[number, layer, place])}


def _text_scales(params: Params) -> tuple[float, ...]:
    return tuple(dict.fromkeys((1.0, params.text_scale)))


def _row(result: Result, task: str, position: int, scale: float, state: str, item, right) -> dict:
    return {
        "model": result.spec["model"],
        "task": task,
        "position": position,
        "scale": float(scale),
        "state": state,
        "item": str(item),
        "right": float(right),
        **dict.fromkeys(("layer", "turn", "rank", "length"), np.nan),
        **{name: result.provenance[name] for name in PROVENANCE_COLUMNS},
    }


def _models(params: Params) -> tuple[str, ...]:
    return (params.model, *params.controls)


def table(df: pd.DataFrame) -> pd.DataFrame:
    """The share of words that were reached, and of first tokens of texts, with 95 % intervals."""
    asked = df[df["task"].isin(("word", "text"))]
    groups = asked.groupby(["task", "model", "position", "state", "scale"])["right"]
    return groups.agg(right="sum", of="size", share=_share).rename(columns={"share": "share right"})


def _share(right: pd.Series) -> str:
    return with_interval(share_interval(int(right.sum()), len(right)))


def figure(df: pd.DataFrame) -> Figure:
    """Words reached against the length of the start; how far an input turns states, by layer; and
    how long the first position's state is in fitted texts, by layer."""
    drawn, axes = plots.figure(3, figsize=(9, 4))
    words = df[(df["task"] == "word") & (df["position"] == 1) & (df["state"] == FREE)]
    for model, style in plots.line_styles(dict.fromkeys(words["model"])).items():
        share = words[words["model"] == model].groupby("scale")["right"].mean()
        axes[0].plot(share.index, share, label=f"{model}, first position", **style)
    own = df[(df["task"] == "word") & (df["model"] == df["model"].iloc[0])]
    marks = {"position 2, after the first": own[own["position"] == 2]}
    marks["first position, clamped"] = own[own["state"] == CLAMPED]
    for (label, part), marker in zip(marks.items(), "*X", strict=True):
        if len(part):
            place = part["scale"].iloc[0], part["right"].mean()
            axes[0].plot(*place, marker, ms=11, color="#555555", label=label)
    axes[0].set(
        xscale="log",
        xlabel="standard deviation of the start",
        ylabel="share of words reached",
        ylim=(-0.03, 1.05),
    )
    turns = df[df["task"] == "gradient"]
    for position, style in plots.line_styles(dict.fromkeys(turns["position"])).items():
        mean = turns[turns["position"] == position].groupby("layer")["turn"].mean()
        axes[1].plot(mean.index, mean, label=f"position {position}", **style)
    axes[1].set(xlabel="layer", ylabel="turn of the state", yscale="log")
    grown = df[(df["task"] == "length") & (df["position"] == 1)]
    for scale, style in plots.line_styles(dict.fromkeys(grown["scale"])).items():
        mean = grown[grown["scale"] == scale].groupby("layer")["length"].mean()
        axes[2].plot(mean.index, mean, label=f"state, start {scale:g} × the papers'", **style)
    axes[2].set(xlabel="layer", ylabel="length of the state", yscale="log")
    plots.legend(*axes)
    return drawn
