"""Continuations: sampling against a loop that reads everything anew, contexts, names."""

import numpy as np
import pytest
import torch

from reproducer import RECIPES, FitSpec, Result, Text, compute
from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.models.sampling import greedy_tokens
from reproducer.readings.continuations import (
    ContinuationSpec,
    context_of,
    contexts,
    sample_continuations,
    texts_of,
)
from reproducer.readings.mem_vectors import MemSpec
from reproducer.readings.surprisal import SurprisalSpec
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


@pytest.mark.parametrize(
    "tokens",
    [
        None,
        np.array([["a", "b", "c", "d"]] * 2),
        np.ones((2, 4)),
        np.ones((2, 3), np.int64),
        np.ones(8, np.int64),
        np.full((2, 4), -1),
    ],
    ids=["none", "strings", "reals", "too short", "flat", "negative"],
)
def test_stored_texts_that_are_none(tokens):
    (context,) = contexts("unseen", "tiny", 1, 12)
    spec = ContinuationSpec(model="tiny", context=context, n_continuations=2, n_tokens=4)
    arrays = {} if tokens is None else {"tokens": tokens}
    with pytest.raises(ReproducerError, match=r"expected token ids of shape \(2, 4\), got"):
        texts_of(Result(spec.key, spec.model_dump(mode="json"), {}, arrays))


def test_tokens_that_the_model_does_not_have(tiny):
    text = Text(source="own", id="a", tokens=(1, 258))
    design = {"model": "tiny", "recipe": RECIPES["paper"]}
    fit = FitSpec(texts=(text,), arrangement="[e] [m]xN", **design)
    asked = [
        lambda: fit.problem(tiny),
        lambda: MemSpec(text=text, **design).problem(tiny),
        lambda: SurprisalSpec(model="tiny", text=text).run(tiny, ()),
        lambda: sample_continuations(tiny, text.tokens, 2, [0]),
    ]
    for ask in asked:
        with pytest.raises(ReproducerError, match="expected token ids below 258, got 258"):
            ask()


def test_more_tokens_than_positions(tiny):
    with pytest.raises(ReproducerError, match="at most its 256 positions, got 257"):
        sample_continuations(tiny, (1,) * 200, 56, [0])


def test_what_a_model_of_nan_would_write(nan_lm):
    with pytest.raises(ReproducerError, match="expected finite numbers, got NaN or infinity"):
        sample_continuations(nan_lm, (1, 2), 2, [0])
    with pytest.raises(ReproducerError, match="expected finite numbers"):
        greedy_tokens(nan_lm, torch.ones(1, 1, 32), 2)
    with pytest.raises(ReproducerError, match="expected finite numbers"):
        SurprisalSpec(model="tiny", text=Text(source="a", id="a", tokens=(1, 2))).run(nan_lm, ())


def test_a_context_is_the_end_of_a_first_half():
    (passage, *_) = passages("unseen")
    (context,) = contexts("unseen", "tiny", 1, 20)
    assert context.id == passage.id
    assert passage.first_half.endswith(model_card("tiny").tokenizer.decode(context.tokens))
    assert len(context.tokens) == 20
    with pytest.raises(ReproducerError, match="expected 100000 contexts"):
        contexts("unseen", "tiny", 100_000, 20)
