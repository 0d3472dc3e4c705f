"""Do encodings say what sentences mean? B3 and B6 asked of an encoder's `e`; not in the papers.

A sentence is longer than what an encoder reads at once, so its place is the mean `e` of as many
stretches as the shortest sentence has. Are sentences of one meaning near each other (B3), and does
how near two of them lie follow how alike a sentence encoder finds them (B6)?
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reproducer.analysis.clusters import closeness, closeness_near_one
from reproducer.experiments import cells, encoder
from reproducer.experiments.claims import Verdict, above, verdict
from reproducer.experiments.semantics_claims import BEYOND_CHANCE, MORE
from reproducer.experiments.semantics_measures import agreement, wins
from reproducer.models.card import model_card
from reproducer.readings.encoder import EncodedSpec
from reproducer.results.known import Known
from reproducer.results.sentence_vectors import SentenceVectorsSpec
from reproducer.texts.families import family_texts, load_families

if TYPE_CHECKING:
    from reproducer.analysis.estimates import Interval

SOURCE, TEACHER = "paraphrases", "all-minilm-l6-v2"
N_PARAPHRASES = 9
MOST_STRETCHES = 6
VECTORS = {"e": "mean encoding", "bag of tokens": "bag of tokens", "encoder": "sentence encoder"}
FOLLOWS = above(0.1, "the margin of B6 between batches")


class Asked(NamedTuple):
    """What is asked of sentences: their encodings, and what a sentence encoder makes of them."""

    encoded: EncodedSpec
    meant: SentenceVectorsSpec


def asked(params: encoder.Params) -> Asked | None:
    """`n_texts` originals and their paraphrases, all cut to the same number of stretches.

    None for an encoder that reads more tokens than the shortest of them has.
    """
    spec, card = encoder.compared(params), model_card(params.model)
    families = load_families(SOURCE, params.n_texts)
    whole = [
        text
        for family in families
        for text in family_texts(family, SOURCE, card.tokenizer, None, 0, N_PARAPHRASES)
    ]
    shortest = min(len(text.tokens) for text in whole)
    n_stretches = min(shortest // spec.n_tokens, MOST_STRETCHES)
    if not n_stretches:
        return None
    cut = [text.prefix(n_stretches * spec.n_tokens) for text in whole]
    return Asked(
        EncodedSpec(
            model=params.model,
            encoder=spec,
            texts=tuple(part for text in cut for part in text.stretches(spec.n_tokens)),
            seed=params.seed,
        ),
        SentenceVectorsSpec(
            model=TEACHER,
            sentences=tuple(dict.fromkeys(card.tokenizer.decode(text.tokens) for text in cut)),
        ),
    )


def rows(params: encoder.Params, known: Known) -> pd.DataFrame:
    """One row for each sentence (`task` "sentence"); none until all is known.

    Columns: text, family, passage (the same), tokens, e (the mean of its stretches' encodings),
    encoder (the sentence encoder's vector), seed, device.
    """
    wanted = asked(params)
    if wanted is None:
        return pd.DataFrame()
    ours, theirs = wanted
    encoded, meant = known.get(ours), known.get(theirs)
    if not (encoded and meant):
        return pd.DataFrame()
    decode = model_card(params.model).tokenizer.decode
    vectors = dict(zip(theirs.sentences, meant.arrays["vectors"], strict=True))
    names = list(dict.fromkeys(text.id.partition("[")[0] for text in ours.texts))
    tokens = np.array([text.tokens for text in ours.texts]).reshape(len(names), -1)
    e = encoded.arrays["e"].astype(float)
    frame = pd.DataFrame(
        {
            "text": names,
            "tokens": [tuple(row) for row in tokens.tolist()],
            "e": list(e.reshape(len(names), -1, e.shape[1]).mean(1)),
        }
    )
    return frame.assign(
        task="sentence",
        family=frame["text"].str.partition("/")[0],
        passage=frame["text"].str.partition("/")[0],
        encoder=[vectors[decode(row)] for row in frame["tokens"]],
        seed=params.seed,
        device=encoded.provenance["device"],
    )


def table(df: pd.DataFrame) -> pd.DataFrame:
    """By kind of vector: how often the same family is closer, and the relation to meaning."""
    shown = {}
    some = _sentences(df)
    for name, title in VECTORS.items() if len(some) else ():
        follows = agreement(some, name)
        shown[title,] = {
            "sentences": f"{len(some)}",
            "same family closer (AUC)": cells.with_interval(_near(some, name)),
            "correlation with the sentence encoder": cells.with_interval(follows)
            if follows
            else "–",
        }
    return cells.table_of(shown, ["place of a sentence"])


def claims(df: pd.DataFrame) -> list[Verdict]:
    """Encodings of one meaning lie together, more than by shared words; meaning orders them."""
    some = _sentences(df)
    if some["passage"].nunique() < 2:
        return []
    e, words = (wins(some, name).to_numpy() for name in ("e", "bag of tokens"))
    question = "same family closer (AUC), sentences and their paraphrases"
    common = {"experiment": "encoded_space", "unit": "families"}
    return [
        verdict(
            some,
            (closeness(e), BEYOND_CHANCE),
            id="encoded_space.meaning",
            claim="Encodings of a sentence lie closer to those of its paraphrases than to those of "
            f"other sentences: {question}, of the mean e",
            **common,
        ),
        verdict(
            some,
            (closeness(e, words), MORE),
            id="encoded_space.beyond-words",
            claim="Encodings tell families of sentences apart better than the bag of tokens does: "
            f"{question}, of the mean e minus that of the bag",
            **common,
        ),
        verdict(
            some,
            (agreement(some, "e"), FOLLOWS),
            id="encoded_space.relations",
            claim="How alike encodings of sentences are follows what a sentence encoder makes of "
            "them, shared words included: correlation of the cosines",
            **common,
        ),
    ]


def _sentences(df: pd.DataFrame) -> pd.DataFrame:
    return df[df["task"] == "sentence"] if len(df) else pd.DataFrame(columns=["passage"])


def _near(some: pd.DataFrame, name: str) -> Interval:
    # The references win nearly all comparisons, which leaves a jackknife no spread to read.
    near = closeness if name == "e" else closeness_near_one
    return near(wins(some, name).to_numpy())
