"""The vocabulary of GloVe, from which the papers draw their random words."""

from __future__ import annotations

import zipfile
import zlib
from itertools import islice

import pooch

from reproducer.errors import ReproducerError
from reproducer.paths import cache_dir

URL = "https://nlp.stanford.edu/data/glove.6B.zip"
MEMBER = "glove.6B.50d.txt"


def glove_words(n_words: int) -> list[str]:
    """The `n_words` most frequent words of GloVe 6B, most frequent first.

    Fetches 862 MB once into the cache. Raises `ReproducerError` where that is impossible and
    names the offline source.
    """
    try:
        archive = pooch.retrieve(URL, known_hash=None, path=cache_dir() / "glove")
    except Exception as error:  # pooch passes on whatever its HTTP library raised
        raise ReproducerError(
            "cannot fetch the GloVe vocabulary for source 'random-glove'; source 'random' draws "
            f"from wordfreq's list without a network ({type(error).__name__})"
        ) from error
    return read_words(archive, n_words)


def read_words(archive: str, n_words: int) -> list[str]:
    """The first word of each of the first `n_words` lines of the archive's vector file."""
    words: list[str] = []
    try:
        with zipfile.ZipFile(archive) as files, files.open(MEMBER) as lines:
            for line in islice(lines, n_words):
                words.append(line.split(b" ", 1)[0].decode("utf-8"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ReproducerError(f"expected {MEMBER} in {archive}, got: {error!r}") from error
    if len(words) == n_words:
        return words
    raise ReproducerError(f"expected {n_words} words in {archive}, got {len(words)}")
