"""How much information each prefix of a text holds, as a stored result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch

from reproducer.readings.information import bits_per_character, token_nats
from reproducer.results.provenance import provenance
from reproducer.results.run import cached_lm
from reproducer.results.specs import Spec
from reproducer.results.store import Result
from reproducer.texts.sources import Text


class SurprisalSpec(Spec):
    """`−log P_LM(t_i | t_<i)` of every token of `text`, and the characters of every prefix.

    Under a causal model a prefix's tokens cost what they cost in the whole text, so one pass
    gives `H_LM` of all prefixes.
    """

    kind: Literal["surprisal"] = "surprisal"
    text: Text

    def run(self) -> Result:
        lm = cached_lm(self.model, self.dtype)
        tokens = list(self.text.tokens)
        nats = token_nats(lm, torch.tensor([tokens]))[0].cpu()
        decode = lm.tokenizer.decode
        characters = [len(decode(tokens[: n + 1])) for n in range(len(tokens))]
        arrays = {"nats": nats, "characters": torch.tensor(characters)}
        spec = self.model_dump(mode="json")
        return Result(self.key, spec, {"h_lm_nats": nats.sum().item()}, arrays, provenance(lm))


@dataclass(frozen=True)
class TextInformation:
    """Cumulated over a text: entry n of each list belongs to the prefix of n tokens."""

    h_lm_nats: list[float]
    characters: list[int]

    @classmethod
    def of(cls, result: Result) -> TextInformation:
        nats = result.arrays["nats"].double().cumsum(0).tolist()
        return cls([0.0, *nats], [0, *result.arrays["characters"].tolist()])

    def columns(self, n_tokens: int) -> dict[str, float]:
        """`h_lm_nats`, `characters` and `bits_per_character` of the prefix of `n_tokens`."""
        nats, characters = self.h_lm_nats[n_tokens], self.characters[n_tokens]
        bits = bits_per_character(nats, "x" * characters) if characters else float("nan")
        return {"h_lm_nats": nats, "characters": characters, "bits_per_character": bits}


def text_information(
    model: str, texts: Iterable[Text], fetch: Callable[[list[Spec]], list[Result]]
) -> dict[Text, TextInformation]:
    """The information of every text that `fetch` knows."""
    specs = {SurprisalSpec(model=model, text=text).key: text for text in texts}
    known = fetch([SurprisalSpec(model=model, text=text) for text in specs.values()])
    return {specs[result.key]: TextInformation.of(result) for result in known}
