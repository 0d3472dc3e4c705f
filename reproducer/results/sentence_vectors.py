"""Sentence embeddings as results, so that what was compared with them never needs them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from reproducer.results.specs import Measurement, Outcome, Result
from reproducer.texts.teachers import teacher_vectors, teacher_weights


class SentenceVectorsSpec(Measurement):
    """Unit vectors of `sentences` as the encoder `model`, a name of `TEACHERS`, reads them."""

    kind: Literal["sentence_vectors"] = "sentence_vectors"
    weights: str = Field(default_factory=lambda data: teacher_weights(data["model"]))
    sentences: tuple[str, ...] = Field(min_length=1)

    LOADS_MODEL: ClassVar[bool] = False

    def run(self, lm: None, needed: Sequence[Result]) -> Outcome:
        """Array `vectors`, (n_sentences, width of the encoder), float32."""
        return Outcome({}, {"vectors": teacher_vectors(list(self.sentences), self.model)})

