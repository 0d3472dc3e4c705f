"""What follows about encoders; the frame that is judged is `reproducer.experiments.encoder`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reproducer.analysis.intervals import mean_interval, ratio_interval
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.recipes import TARGET, steps_ratio

if TYPE_CHECKING:
    import pandas as pd

    from reproducer.analysis.estimates import Interval
    from reproducer.experiments.criteria import Criterion

ENCODED = "encoded"  # the recipe of fits that start at an encoder's vectors
SHARES, DIFFERENCES = (0, 1), (-1, 1)
MOST = above(0.7, "seven tokens in ten")
OWN = above(0.1, "a tenth of the tokens that no other e gives back")
SOONER = above(3, "a third of the steps")
TENTH = above(0.1, "a tenth of the tokens")
MORE = above(1.5, "half as much again")
NO_LESS = above(0.9, "a tenth less")
TWICE = above(2, "twice as many tokens in one vector")


def claims(df: pd.DataFrame) -> list[Verdict]:
    """One pass gives most prose back, read from the text; a fit from there ends sooner."""
    if df.empty:
        return []
    encoded, fits = df[df["task"] == "encode"], df[df["task"] == "fit"]
    trained = encoded[encoded["encoder"].str.startswith("trained")]
    compared = trained[trained["compared"].astype(bool)]
    prose = compared[compared["source"] == "unseen"]
    n_tokens = int(compared["n_tokens"].max()) if len(compared) else 0
    return [
        _claim(
            df,
            (_mean(prose, prose["accuracy"], SHARES), MOST),
            id="encoder.reads",
            unit="passages",
            claim=f"One pass through an encoder and one through the model give prose that neither "
            f"was trained on back: share of the tokens at N = {n_tokens}",
        ),
        _claim(
            df,
            *(
                (_mean(prose, prose["accuracy"] - prose[other], DIFFERENCES), OWN, f"{other} e")
                for other in ("mean", "nearest", "drawn")
            ),
            id="encoder.own",
            unit="passages",
            claim="What comes back is read from the text: share of the tokens, the encoder's e "
            "minus another",
        ),
        _longer(df, trained[trained["source"] == "unseen"], n_tokens),
        _of_sources(
            df,
            compared,
            "encoder.prose-first",
            ("unseen", "random"),
            MORE,
            "An encoder that was trained on prose gives more of prose back than of random words",
        ),
        _of_sources(
            df,
            compared,
            "encoder.sampled",
            ("sampled", "unseen"),
            NO_LESS,
            "An encoder gives as much of what the model itself writes back as of human prose",
        ),
        _design(
            df,
            encoded,
            "encoder.states",
            "states",
            "embeddings",
            "An encoder that reads the frozen model's states over the text learns faster than one "
            "that reads the embeddings",
        ),
        _design(
            df,
            encoded,
            "encoder.long",
            "embeddings",
            "short",
            "An encoder learns faster with long vectors than with vectors as long as the papers' "
            "starts",
        ),
        *(
            _sooner(df, some, name, n)
            for n, some in fits.groupby("n_tokens")
            for name in dict.fromkeys(some["recipe"])
            if name != ENCODED
        ),
    ]


def _claim(df: pd.DataFrame, *parts: tuple, **fields: str) -> Verdict:
    return verdict(df, *parts, experiment="encoder", **fields)


def _mean(df: pd.DataFrame, values: pd.Series, bounds: tuple[int, int]) -> Interval:
    return mean_interval(values, df["passage"], bounds=bounds)


def _longer(df: pd.DataFrame, prose: pd.DataFrame, n_tokens: int) -> Verdict:
    """Paired by passage: right tokens of the longest texts over those of the compared length."""
    right = prose.assign(right=prose["accuracy"] * prose["n_tokens"]).pivot_table(
        index="passage", columns="n_tokens", values="right"
    )
    most = max(right.columns, default=0)
    parts = []
    if most > n_tokens in right.columns:
        right = right.dropna(subset=[n_tokens, most])
        parts = [(ratio_interval(right[most], right[n_tokens]), TWICE)]
    return _claim(
        df,
        *parts,
        id="encoder.longer",
        unit="passages",
        untested="" if parts else "an encoder of longer texts",
        claim=f"An encoder of longer texts carries more tokens: right tokens of unseen prose, the "
        f"longest texts over N = {n_tokens}",
    )


def _of_sources(
    df: pd.DataFrame,
    compared: pd.DataFrame,
    id: str,
    sources: tuple[str, str],
    criterion: Criterion,
    claim: str,
) -> Verdict:
    by_text = compared.groupby(["source", "passage"])["accuracy"].mean()
    one, other = (by_text.loc[by_text.index.isin([s], level=0)] for s in sources)
    parts = []
    if len(one) and len(other):
        parts = [(ratio_interval(one, other, paired=False), criterion)]
    return _claim(
        df,
        *parts,
        id=id,
        unit="passages",
        untested="" if parts else "texts of both sources",
        claim=f"{claim}: ratio of the shares of the tokens, {' over '.join(sources)}",
    )


def _design(
    df: pd.DataFrame, encoded: pd.DataFrame, id: str, one: str, other: str, claim: str
) -> Verdict:
    """Paired by text, since every design encodes the same stretches."""
    names = [f"design {design}" for design in (one, other)]
    prose = encoded[(encoded["source"] == "unseen") & encoded["encoder"].isin(names)]
    wide = prose.pivot_table(index=["text", "passage"], columns="encoder", values="accuracy")
    parts = []
    if set(names) <= set(wide.columns):
        gap = (wide[names[0]] - wide[names[1]]).dropna().reset_index(name="gap")
        parts = [(_mean(gap, gap["gap"], DIFFERENCES), TENTH)]
    return _claim(
        df,
        *parts,
        id=id,
        unit="passages",
        untested="" if parts else "both designs, of unseen prose",
        claim=f"{claim}: share of the tokens at equal text-steps, {one} minus {other}",
    )


def _sooner(df: pd.DataFrame, fits: pd.DataFrame, name: str, n_tokens: int) -> Verdict:
    ratio, bounds = steps_ratio(fits, name, ENCODED)
    there = {name, ENCODED} <= set(fits["recipe"])
    length = "" if fits["compared"].any() else f"-at-{n_tokens}"
    return _claim(
        df,
        (ratio, SOONER),
        id=f"encoder.sooner-than-{name}{length}",
        unit="texts",
        untested="" if there else "fits from the encoder's vectors",
        claim=f"A fit that starts at the encoder's vectors arrives at {TARGET} in a third of the "
        f"steps of the recipe {name}: ratio of mean steps at N = {n_tokens}{bounds}",
    )
