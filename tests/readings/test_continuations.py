"""Continuations: sampling against a loop that reads everything anew, contexts, names."""

import pytest
import torch

from reproducer import compute
from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.readings.continuations import (
    ContinuationSpec,
    context_of,
    contexts,
    sample_continuations,
    texts_of,
)
from reproducer.texts.sources import passages


@torch.no_grad()
def obvious(lm, context, n_tokens, seed):
    """One continuation, every token after a whole reading of what stands before it."""
    draw, written = torch.Generator().manual_seed(seed), [lm.bos_token_id, *context]
    for _ in range(n_tokens):
        logits = lm.hf(torch.tensor([written])).logits[0, -1]
        logits[sorted({*lm.tokenizer.all_special_ids, lm.bos_token_id})] = -torch.inf
        written.append(torch.multinomial(logits.softmax(-1), 1, generator=draw).item())
    return written[1 + len(context) :]


def test_sampling_together_equals_the_obvious_loop(tiny):
    (context,) = contexts("unseen", "tiny", 1, 12)
    together = sample_continuations(tiny, context.tokens, 6, range(3))
    assert together.tolist() == [obvious(tiny, context.tokens, 6, seed) for seed in range(3)]


def test_stored_texts_know_their_context():
    (context,) = contexts("unseen", "tiny", 1, 12)
    spec = ContinuationSpec(model="tiny", context=context, n_continuations=2, n_tokens=4)
    texts = texts_of(compute([spec], progress=False)[0])
    assert [text.id for text in texts] == [f"{context.id}+0", f"{context.id}+1"]
    assert {context_of(text) for text in texts} == {context.id}
    assert {text.source for text in texts} == {"generated:unseen"}
    assert [len(text.tokens) for text in texts] == [4, 4]


def test_a_context_is_the_end_of_a_first_half():
    (passage, *_) = passages("unseen")
    (context,) = contexts("unseen", "tiny", 1, 20)
    assert context.id == passage.id
    assert passage.first_half.endswith(model_card("tiny").tokenizer.decode(context.tokens))
    assert len(context.tokens) == 20
    with pytest.raises(ReproducerError, match="expected 100000 contexts"):
        contexts("unseen", "tiny", 100_000, 20)
