"""B3: do proto-tokens know what a text means? (Bondarenko et al., Figs 5–6)

Originals, their misspelt variants and their paraphrases are fitted; vectors of one original
should lie together if meaning is what they hold. The paper shows t-SNE maps and finds that
`m` clusters by meaning more than `e`. We add numbers: silhouettes, nearest neighbours, and
the agreement of all cosines with those of a sentence encoder (Mantel's test).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from reproducer.analysis.intervals import bootstrap_interval
from reproducer.analysis.matrices import interval
from reproducer.errors import ReproducerError
from reproducer.experiments import plots
from reproducer.experiments.base import fit, fit_frame, tested
from reproducer.experiments.maps import map_figure
from reproducer.experiments.meaning import (
    MEASURES,
    REFERENCES,
    VECTORS,
    differences,
    mantel_differences,
    measures,
    subset,
)
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.verdicts import Verdict, verdict_on
from reproducer.models.card import model_card
from reproducer.readings.paraphrases import ParaphraseSpec
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.results.specs import Spec
from reproducer.results.vectors import solved, with_vectors
from reproducer.texts.families import FAMILIES, Family, load_families
from reproducer.texts.misspellings import lexical_variants
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENCODER = "all-minilm-l6-v2"
KINDS = ("lexical", "paraphrase")
E_ONLY = ("e", *REFERENCES)
MIN_FAMILIES = 12


class Params(ExperimentParams):
    """`n_texts` counts originals, of the families that `source` names (`FAMILIES`).

    `n_tokens`: every text is cut to so many tokens (None: whole, for own `m` only);
    `n_seeds`: starts `seed, seed + 1, …`.
    """

    source: Literal[*FAMILIES] = "paraphrases"
    n_tokens: int | None = Field(24, ge=1)
    n_lexical: int = Field(6, ge=0)
    n_paraphrases: int = Field(9, ge=0)
    shares: tuple[Literal["none", "m"], ...] = Field(("none", "m"), min_length=1)
    n_seeds: int = Field(3, ge=1)
    arrangement: str | None = None
    max_steps: int = Field(2000, ge=1)
    stop_accuracy: float = Field(0.9, gt=0, le=1)
    min_accuracy: float = Field(0.9, ge=0, le=1)

    @model_validator(mode="after")
    def _one_length_under_a_shared_m(self) -> Params:
        if self.n_tokens is None and "m" in self.shares:
            raise ValueError("expected n_tokens for a shared m: its texts need one length")
        return self


def specs(params: Params, known: Known) -> list[Spec]:
    """First what rewrites the originals, where it is needed; then the fits and their meaning."""
    families = families_of(params, known)
    wanted = paraphrases(params)
    if any(family.paraphrases is None for family in families):
        return wanted
    return [*wanted, *fits(params, families), encoded(params, families)]


def paraphrases(params: Params) -> list[ParaphraseSpec]:
    """The rewritings of those originals that come without any."""
    return [
        ParaphraseSpec(original=family.original)
        for family in load_families(params.source, params.n_texts)
        if family.paraphrases is None
    ]


def families_of(params: Params, known: Known) -> list[Family]:
    """The originals, each with its paraphrases, shipped or written; None where none are known."""
    written = {
        result.spec["original"]: tuple(result.metrics["texts"])
        for result in known.all(paraphrases(params))
    }
    return [
        replace(family, paraphrases=family.paraphrases or written.get(family.original))
        for family in load_families(params.source, params.n_texts)
    ]


def family_texts(family: Family, params: Params) -> list[Text]:
    """Original, misspelt variants and paraphrases; ids are `family/kind/number`.

    Errors are put into the part that is fitted, and every text is new in that part.
    """
    tokenizer = model_card(params.model).tokenizer

    def cut(sentence: str) -> tuple[int, ...]:
        return tokenizer.encode(sentence)[: params.n_tokens]

    fitted = cut(family.original)
    seen = {fitted}

    prefix = tokenizer.decode(fitted)
    rest = family.original.removeprefix(prefix)

    def is_new(variant: str) -> bool:
        tokens = cut(variant + rest)
        new = tokens not in seen and len(tokens) >= (params.n_tokens or 1)
        seen.update({tokens} if new else ())
        return new

    misspelt = [v + rest for v in lexical_variants(prefix, params.n_lexical, is_new)]
    rewritten = family.paraphrases[: params.n_paraphrases]
    groups = {"original": [family.original], "lexical": misspelt, "paraphrase": rewritten}
    texts = [
        Text(source=params.source, id=f"{family.id}/{kind}/{number}", tokens=cut(sentence))
        for kind, sentences in groups.items()
        for number, sentence in enumerate(sentences)
    ]
    for text in texts if params.n_tokens else ():
        text.prefix(params.n_tokens)  # raises for a text that is shorter
    return texts


def texts_of(params: Params, families: list[Family]) -> list[Text]:
    """All texts of all families."""
    return [text for family in families for text in family_texts(family, params)]


def fits(params: Params, families: list[Family]) -> list[FitSpec]:
    """A fit for each text with its own `m`, and one for all texts together sharing `m`."""
    texts = texts_of(params, families)
    groups = {"none": [(text,) for text in texts], "m": [tuple(texts)]}
    return [
        fit(params, group, share=share, seed=seed)
        for seed in range(params.seed, params.seed + params.n_seeds)
        for share in params.shares
        for group in groups[share]
    ]


def encoded(params: Params, families: list[Family]) -> SentenceVectorsSpec:
    """The encoder's vectors of the part of every text that is fitted."""
    decode = model_card(params.model).tokenizer.decode
    sentences = [decode(text.tokens) for text in texts_of(params, families)]
    return SentenceVectorsSpec(model=ENCODER, sentences=tuple(dict.fromkeys(sentences)))


def rows(params: Params, known: Known) -> pd.DataFrame:
    """One row a fitted text: `fit_frame`, vectors `e` and `m`, its tokens and sentence vector."""
    families = families_of(params, known)
    if any(family.paraphrases is None for family in families):
        return pd.DataFrame()
    results, meaning = known.all(fits(params, families)), known.get(encoded(params, families))
    if not results or not meaning:
        return pd.DataFrame()
    frame = with_vectors(fit_frame(results, params), results)
    vectors = dict(zip(meaning.spec["sentences"], meaning.arrays["vectors"], strict=True))
    tokens = [tuple(text["tokens"]) for result in results for text in result.spec["texts"]]
    decode = model_card(params.model).tokenizer.decode
    parts = frame["text"].str.split("/", expand=True)
    return frame.assign(
        family=parts[0],
        kind=parts[1],
        tokens=tokens,
        encoder=[vectors[decode(t)].astype(float) for t in tokens],
        min_accuracy=params.min_accuracy,
    )


def usable(df: pd.DataFrame) -> pd.DataFrame:
    """The solved texts; raises if there are none."""
    return solved(df, df["min_accuracy"].iloc[0])


def measured(df: pd.DataFrame) -> pd.DataFrame:
    """`meaning.measures` by sharing, seed and kind of variant; index (…, vector).

    A shared `m` is the same for all texts and is left out.
    """
    found = {
        (share, seed, kind): measures(subset(some, kind), VECTORS if share == "none" else E_ONLY)
        for (share, seed), some in usable(df).groupby(["share", "seed"])
        for kind in KINDS
        if subset(some, kind)["family"].nunique() >= 2 and (some["kind"] == kind).any()
    }
    if not found:
        raise ReproducerError("expected two originals with a solved variant each, got fewer")
    return pd.concat(found, names=["share", "seed", "kind"])


def table(df: pd.DataFrame, numbers: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every measure: mean over seeds, the widest interval and the largest p of any seed."""
    numbers = measured(df) if numbers is None else numbers
    groups = numbers.groupby(level=["share", "kind", "vector"], sort=False)
    shown = {}
    for measure in MEASURES:
        mean, p = groups[measure].mean(), groups[f"{measure}_p"].max()
        low, high = groups[f"{measure}_low"].min(), groups[f"{measure}_high"].max()
        shown[measure] = [
            f"{a:.2f} ({b:.2f} … {c:.2f}), p {d:.3f}"
            for a, b, c, d in zip(mean, low, high, p, strict=True)
        ]
        index = mean.index
    chance = groups["neighbours_chance"].mean().map("{:.2f}".format)
    return pd.DataFrame(shown, index=index).assign(**{"neighbours by chance": chance})


def figure(df: pd.DataFrame, share: str = "none") -> Figure:
    """t-SNE maps of `e` and `m` of one sharing and the first seed, a colour for each family."""
    some = usable(df)
    some = some[(some["share"] == share) & (some["seed"] == some["seed"].min())]
    tokens = ("e", "m") if share == "none" else ("e",)
    return map_figure(some, "family", shapes="kind", tokens=tokens)


def measure_figure(numbers: pd.DataFrame) -> Figure:
    """The measures of `measured`, own `m` if there is one: a dot a seed, a panel a measure."""
    drawn, axes = plots.figure(len(MEASURES), sharey=True, figsize=(11, 3.8))
    own = numbers.xs(numbers.index.unique("share")[-1], level="share")
    kinds = plots.line_styles(own.index.unique("kind"))
    for axis, measure in zip(axes, MEASURES, strict=True):
        for shift, (kind, style) in enumerate(kinds.items()):
            some = own.xs(kind, level="kind").reset_index()
            place = some["vector"].map(VECTORS.index) + 0.3 * shift - 0.15 + 0.05 * some["seed"]
            middle = some[measure]
            reach = [middle - some[f"{measure}_low"], some[f"{measure}_high"] - middle]
            look = {"color": style["color"], "fmt": style["marker"]}
            axis.errorbar(middle, place, xerr=np.clip(reach, 0, None), label=kind, lw=1, **look)
            if measure == "neighbours":
                axis.axvline(some["neighbours_chance"].mean(), **_chance(style))
        axis.set(xlabel=_LABELS[measure], yticks=range(len(VECTORS)), yticklabels=VECTORS)
    axes[0].invert_yaxis()
    axes[-1].legend(title="original and", loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


_LABELS = {
    "silhouette": "silhouette by original",
    "neighbours": "nearest 3 of the same original\n(share; dashed: chance)",
    "mantel": "correlation with the\nencoder's cosines",
}


def _chance(style: dict) -> dict:
    return {"color": style["color"], "linestyle": "--", "lw": 1}


def claims(df: pd.DataFrame) -> list[Verdict]:
    """`m` is more semantic than `e`: by each measure, on originals and paraphrases, own `m`."""
    if df.empty or not tested(df["model"].iloc[0]):
        return []
    good = df[(df["accuracy"] >= df["min_accuracy"]) & (df["share"] == "none")]
    seeds = [subset(some, "paraphrase") for _, some in good.groupby("seed")]
    seeds = [some for some in seeds if some["family"].nunique() >= 2]
    n = min((some["family"].nunique() for some in seeds), default=0)
    numbers = dict.fromkeys(MEASURES, (None, None, None))
    if seeds:
        by_family = pd.concat([differences(some) for some in seeds]).groupby(level=0).mean()
        numbers |= {k: bootstrap_interval(by_family[k]) for k in by_family}
        draws = np.mean([mantel_differences(some) for some in seeds], axis=0)
        numbers["mantel"] = float(np.nanmean(draws)), *interval(draws)
    return [_verdict(df, measure, numbers[measure], n) for measure in MEASURES]


def _verdict(df: pd.DataFrame, measure: str, numbers: tuple, n: int) -> Verdict:
    enough = n >= MIN_FAMILIES and df["min_accuracy"].iloc[0] >= 0.9
    name = _LABELS[measure].split("\n(")[0].replace("\n", " ")
    return verdict_on(
        df,
        numbers,
        lambda d: d > 0,
        enough,
        id=f"B3.{measure}",
        experiment="semantics",
        claim=f"m clusters by meaning more than e: {name}, m minus e, paraphrases",
        published="m more than e (t-SNE maps, no number)",
        n=n,
        criterion=f"difference above 0, whole interval over originals, mean over seeds; needs "
        f"{MIN_FAMILIES} originals solved to 0.9",
    )
