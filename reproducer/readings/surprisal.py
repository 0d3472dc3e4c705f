"""How much information each prefix of a text holds, as the frozen model sees it.

`H_LM = − Σ_i log P_LM(t_i | t_<i)` in nats (Mezentsev & Oseledets §3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from reproducer.results.fits import require_positions, require_tokens
from reproducer.results.known import Known
from reproducer.results.specs import Measurement, Outcome, Result
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel


class SurprisalSpec(Measurement):
    """`−log P_LM(t_i | t_<i)` of every token of `text`, and the characters of every prefix.

    Under a causal model a prefix's tokens cost what they cost in the whole text, so one pass
    gives `H_LM` of all prefixes.
    """

    kind: Literal["surprisal"] = "surprisal"
    text: Text

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        import torch

        from reproducer.readings.information import token_nats

        tokens = self.text.tokens
        require_positions(lm, len(tokens))
        require_tokens(lm, tokens)
        nats = token_nats(lm, torch.tensor([tokens]))[0].cpu()
        decode = lm.card.tokenizer.decode
        characters = [len(decode(tokens[: n + 1])) for n in range(len(tokens))]
        arrays = {"nats": nats, "characters": torch.tensor(characters)}
        return Outcome({"h_lm_nats": nats.sum().item()}, arrays)


@dataclass(frozen=True)
class TextInformation:
    """Cumulated over a text: entry n of each list belongs to the prefix of n tokens."""

    h_lm_nats: list[float]
    characters: list[int]

    @classmethod
    def of(cls, result: Result) -> TextInformation:
        nats = np.cumsum(result.arrays["nats"], dtype=np.float64).tolist()
        return cls([0.0, *nats], [0, *result.arrays["characters"].tolist()])

    def columns(self, n_tokens: int) -> dict[str, float]:
        """`h_lm_nats`, `characters` and `bits_per_character` of the prefix of `n_tokens`."""
        nats, characters = self.h_lm_nats[n_tokens], self.characters[n_tokens]
        bits = nats / math.log(2) / characters if characters else math.nan
        return {"h_lm_nats": nats, "characters": characters, "bits_per_character": bits}


def surprisal_specs(model: str, texts: Iterable[Text]) -> list[SurprisalSpec]:
    """One reading for each of `texts`."""
    return [SurprisalSpec(model=model, text=text) for text in texts]


def text_information(
    model: str, texts: Iterable[Text], known: Known
) -> dict[Text, TextInformation]:
    """The information of every text whose reading is known."""
    results = known.all(surprisal_specs(model, texts))
    return {Text(**result.spec["text"]): TextInformation.of(result) for result in results}
