"""What encoders learn from and what they are tested on: passages, and what the model writes."""

from __future__ import annotations

from reproducer.errors import ReproducerError
from reproducer.readings.continuations import ContinuationSpec, texts_of
from reproducer.readings.encoder import Passages
from reproducer.results.known import Known
from reproducer.texts.sources import RANDOM_TEXTS, Text, load_texts

# Passages to train on, by source. Texts to test on come from the others: the first of `unseen`.
TRAINED_ON = {"unseen": (27, 52), "seen": (1, 77)}
MOST_TEXTS = 26
# The model writes after the first two tokens of random texts: from this one on texts to learn from,
# and after those before it texts to test on. One seed makes much the same text of any opening, so
# those to test on have seeds of their own, beyond those to learn from.
SAMPLED_FROM = 500
MOST_OPENINGS = RANDOM_TEXTS - SAMPLED_FROM
SAMPLED: dict[str, int] = {"n_continuations": 32, "n_tokens": 48}
WRITTEN = "sampled"  # the source of texts to test on
WRITTEN_TOKENS = 64


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
    """What a model writes for encoders to be tested on; the last of each is the text to read.

    Continuation j is drawn with seed j.

    Raises:
        ReproducerError: texts of more than `WRITTEN_TOKENS` tokens.
    """
    if n_tokens > WRITTEN_TOKENS:
        raise ReproducerError(
            f"source {WRITTEN!r}: expected windows of at most {WRITTEN_TOKENS} tokens together, "
            f"got {n_tokens}"
        )
    openings = load_texts("random", model, SAMPLED_FROM, 2)[-n_texts:]
    return [
        ContinuationSpec(
            model=model,
            context=opening.prefix(2),
            n_continuations=SAMPLED["n_continuations"] + number,
            n_tokens=WRITTEN_TOKENS,
        )
        for number, opening in enumerate(openings, start=1)
    ]


def read_back(asked: list[ContinuationSpec], known: Known) -> list[Text]:
    """The texts that `written` asks for; none until all are known."""
    results = known.all(asked)
    return [texts_of(result)[-1] for result in results] if len(results) == len(asked) else []
