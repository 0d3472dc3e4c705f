"""Several sampled continuations of one context: texts that share where they come from.

Mezentsev & Oseledets compare solutions of different continuations of one context (§5). What
the model samples depends on device and rounding, so the sampled texts are results themselves:
stored, shipped and read like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.models.sampling import write_after
from reproducer.results.provenance import provenance
from reproducer.results.run import cached_lm
from reproducer.results.specs import Spec
from reproducer.results.store import Result
from reproducer.texts.sources import Text, halves, passages, tokenize


class ContinuationSpec(Spec):
    """`n_continuations` texts of `n_tokens` tokens after `context`, sampled at temperature 1.

    Continuation `j` is drawn with seed `j`.
    """

    kind: Literal["continuations"] = "continuations"
    context: Text
    n_continuations: int = Field(ge=1)
    n_tokens: int = Field(ge=1)

    def run(self) -> Result:
        """Array `tokens`, (n_continuations, n_tokens)."""
        lm = cached_lm(self.model, self.dtype)
        seeds = range(self.n_continuations)
        tokens = sample_continuations(lm, self.context.tokens, self.n_tokens, seeds)
        spec = self.model_dump(mode="json")
        return Result(self.key, spec, {}, {"tokens": tokens}, provenance(lm))


def texts_of(result: Result) -> list[Text]:
    """The sampled texts of a stored result, named after their context and number."""
    context = result.spec["context"]
    return [
        Text(source=f"generated:{context['source']}", id=f"{context['id']}+{j}", tokens=tuple(row))
        for j, row in enumerate(result.arrays["tokens"].tolist())
    ]


def context_of(text: Text) -> str:
    """The id of the context that a sampled text continues."""
    return text.id.rsplit("+", 1)[0]


def contexts(source: str, lm: LanguageModel, n_contexts: int, n_tokens: int) -> list[Text]:
    """The last `n_tokens` tokens before the middle of each of the first `n_contexts` passages.

    Raises:
        ReproducerError: a source with too few passages or without passages.
    """
    found = []
    for (name, passage), _ in zip(passages(source), range(n_contexts), strict=False):
        tokens = tokenize(lm, halves(passage)[0])[-n_tokens:]
        found.append(Text(source=source, id=name, tokens=tokens))
    if len(found) < n_contexts:
        raise ReproducerError(
            f"source {source!r}: expected {n_contexts} contexts, got {len(found)}"
        )
    return found


def sample_continuations(
    lm: LanguageModel, context: tuple[int, ...], n_tokens: int, seeds: Sequence[int]
) -> Tensor:
    """Token ids (n_seeds, n_tokens) after `context`; row j as `generated.sample` with seed j."""
    read = torch.tensor([[lm.bos_token_id, *context]] * len(seeds))
    return write_after(lm, lm.embed(read), n_tokens, seeds)
