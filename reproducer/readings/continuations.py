"""Several sampled continuations of one context: texts that share where they come from.

Mezentsev & Oseledets compare solutions of different continuations of one context (§5). What
the model samples depends on device and rounding, so the sampled texts are results themselves:
stored, shipped and read like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.results.fits import require_positions, require_tokens
from reproducer.results.specs import Measurement, Outcome, Result
from reproducer.texts.sources import Text, passages

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel


class ContinuationSpec(Measurement):
    """`n_continuations` texts of `n_tokens` tokens after `context`, sampled at temperature 1.

    Continuation `j` is drawn with seed `j`.
    """

    kind: Literal["continuations"] = "continuations"
    context: Text
    n_continuations: int = Field(ge=1)
    n_tokens: int = Field(ge=1)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Array `tokens`, (n_continuations, n_tokens)."""
        seeds = range(self.n_continuations)
        tokens = sample_continuations(lm, self.context.tokens, self.n_tokens, seeds)
        return Outcome({}, {"tokens": tokens})


def texts_of(result: Result) -> list[Text]:
    """The sampled texts of a stored result, named after their context and number."""
    spec, tokens = ContinuationSpec(**result.spec), result.arrays.get("tokens")
    shape = (spec.n_continuations, spec.n_tokens)
    if tokens is None or tokens.shape != shape or tokens.dtype.kind != "i" or tokens.min() < 0:
        got = "none" if tokens is None else f"{tokens.dtype} of shape {tokens.shape}"
        raise ReproducerError(
            f"sampled texts {result.key[:12]}: expected token ids of shape {shape}, got {got}"
        )
    context = result.spec["context"]
    return [
        Text(source=f"generated:{context['source']}", id=f"{context['id']}+{j}", tokens=tuple(row))
        for j, row in enumerate(tokens.tolist())
    ]


def context_of(text: Text) -> str:
    """The id of the context that a sampled text continues."""
    return text.id.rsplit("+", 1)[0]


def contexts(source: str, model: str, n_contexts: int, n_tokens: int) -> list[Text]:
    """The last `n_tokens` tokens before the middle of each of the first `n_contexts` passages.

    Raises:
        ReproducerError: a source with too few passages or without passages.
    """
    encode = model_card(model).tokenizer.encode
    texts = [
        Text(source=source, id=passage.id, tokens=encode(passage.first_half)[-n_tokens:])
        for passage, _ in zip(passages(source), range(n_contexts), strict=False)
    ]
    if len(texts) < n_contexts:
        raise ReproducerError(
            f"source {source!r}: expected {n_contexts} contexts, got {len(texts)}"
        )
    return texts


def sample_continuations(
    lm: LanguageModel, context: tuple[int, ...], n_tokens: int, seeds: Sequence[int]
) -> Tensor:
    """Token ids (n_seeds, n_tokens) after `context`; row j is drawn with seed j."""
    import torch

    from reproducer.models.sampling import write_after

    require_tokens(lm, (lm.bos_token_id, *context))
    require_positions(lm, 1 + len(context) + n_tokens)
    read = torch.tensor([[lm.bos_token_id, *context]] * len(seeds))
    return write_after(lm, lm.embed(read), n_tokens, seeds)
