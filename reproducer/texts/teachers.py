"""Teacher vectors: sentence embeddings brought to the width of the language model.

A cosine needs equal widths, and Bondarenko et al. do not say how they got them. A narrower
teacher is lifted by a fixed map with orthonormal columns, which keeps all its cosines; a
wider one is cut, if it was trained so that its first components serve alone (Matryoshka).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reproducer.errors import ReproducerError, require_name
from reproducer.texts.sentence_encoder import EMBEDDED, encode, encoder_weights

if TYPE_CHECKING:
    from torch import Tensor

LIFT_SEED = 0
RANDOM_WIDTH = 32


@dataclass(frozen=True)
class Teacher:
    """A sentence encoder (None: random vectors) and whether its leading components serve alone."""

    encoder: str | None
    width: int
    matryoshka: bool = False

    def require_narrow(self, d_model: int) -> None:
        """Raise if the teacher's vectors cannot be brought to the width `d_model`."""
        _require_narrow(self.width, d_model, self.matryoshka)


def _require_narrow(width: int, d_model: int, matryoshka: bool) -> None:
    if width > d_model and not matryoshka:
        raise ReproducerError(
            f"expected a teacher of at most the model's width {d_model}, or one whose leading "
            f"components serve alone (Matryoshka), got width {width}"
        )


TEACHERS: dict[str, Teacher] = {
    EMBEDDED: Teacher(EMBEDDED, 384),
    "qwen3-embedding-8b": Teacher("Qwen/Qwen3-Embedding-8B", 4096, matryoshka=True),
    # A control that knows no meaning: what a regularizer does for it, it does for any target.
    "random": Teacher(None, RANDOM_WIDTH),
}


def teacher_weights(name: str) -> str:
    """What names the teacher's weights exactly."""
    teacher = TEACHERS[require_name("teacher", name, TEACHERS)]
    return encoder_weights(teacher.encoder) if teacher.encoder else f"characters:{RANDOM_WIDTH}"


def teacher_vectors(sentences: list[str], name: str) -> Tensor:
    """Unit vectors (n, width of the teacher) of `sentences`."""
    teacher = TEACHERS[require_name("teacher", name, TEACHERS)]
    return encode(sentences, teacher.encoder) if teacher.encoder else _random(sentences)


def to_width(vectors: Tensor, d_model: int, matryoshka: bool) -> Tensor:
    """Unit vectors (n, k) as unit vectors (n, d_model), float32.

    Raises:
        ReproducerError: k > d_model and the teacher is not Matryoshka.
    """
    from torch.nn.functional import normalize

    width = vectors.shape[1]
    _require_narrow(width, d_model, matryoshka)
    if width > d_model:
        vectors = vectors[:, :d_model]
    elif width < d_model:
        vectors = (vectors.double() @ lift(width, d_model).T).float()
    return normalize(vectors, dim=-1)


def _random(sentences: list[str]) -> Tensor:
    """A unit vector for each sentence that depends on its characters alone."""
    import torch

    rows = []
    for sentence in sentences:
        mark = int.from_bytes(hashlib.sha256(sentence.encode()).digest()[:7], "big")
        rows.append(torch.randn(RANDOM_WIDTH, generator=torch.Generator().manual_seed(mark)))
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


def lift(width: int, d_model: int) -> Tensor:
    """A fixed (d_model, width) matrix with orthonormal columns, float64."""
    import torch

    draw = torch.Generator().manual_seed(LIFT_SEED)
    random = torch.randn(d_model, width, generator=draw, dtype=torch.float64)
    q, r = torch.linalg.qr(random)
    # The signs of a QR are the library's choice; a positive diagonal makes it unique.
    return q * r.diagonal().sign()
