"""What encoders learn from and what they are tested on: passages, and what the model writes."""

from __future__ import annotations

from reproducer.readings.continuations import ContinuationSpec, texts_of
from reproducer.readings.encoder import Passages
from reproducer.results.known import Known
from reproducer.texts.sources import RANDOM_TEXTS, Text, load_texts

# Passages to train on, by source. Texts to test on come from the others: the first of `unseen`.
TRAINED_ON = {"unseen": (27, 52), "seen": (1, 77)}
MOST_TEXTS = 26
# The model writes after the first two tokens of random texts: from this one on texts to learn from,
# and after those before it texts to test on.
SAMPLED_FROM = 500
MOST_OPENINGS = RANDOM_TEXTS - SAMPLED_FROM
SAMPLED: dict[str, int] = {"n_continuations": 32, "n_tokens": 48}
WRITTEN, WRITTEN_TOKENS = "sampled", 64  # of each text, or as many as are asked for


def learned(model: str) -> tuple[Passages, ...]:
    """The passages that encoders of a model learn from."""
    return tuple(Passages.of(name, model, *ends) for name, ends in TRAINED_ON.items())


def sampled(model: str, n_openings: int) -> tuple[ContinuationSpec, ...]:
    """What a model writes, for encoders to learn from."""
    openings = load_texts("random", model, SAMPLED_FROM + n_openings, 2)[SAMPLED_FROM:]
    return tuple(
        ContinuationSpec(model=model, context=opening.prefix(2), **SAMPLED) for opening in openings
    )


def written(model: str, n_texts: int, n_tokens: int) -> list[ContinuationSpec]:
    """What a model writes for encoders to be tested on, a text of its own after each opening."""
    openings = load_texts("random", model, SAMPLED_FROM, 2)[-n_texts:]
    length = {"n_continuations": 1, "n_tokens": max(WRITTEN_TOKENS, n_tokens)}
    return [
        ContinuationSpec(model=model, context=opening.prefix(2), **length) for opening in openings
    ]


def read_back(asked: list[ContinuationSpec], known: Known) -> list[Text]:
    """The texts that `written` asks for; none until all are known."""
    results = known.all(asked)
    texts = [text for result in results for text in texts_of(result)]
    return texts if len(results) == len(asked) else []
