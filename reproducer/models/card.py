"""What is known of a model without its weights: its shape, its tokenizer, and which weights it has.

Planning, keys and tables need no more than this, so nothing here loads PyTorch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import tokenizers

from reproducer.errors import ReproducerError, did_you_mean, require_name, shown
from reproducer.models.hub import SECONDS, settle_hub
from reproducer.models.shapes import resized, split_name
from reproducer.models.smollm2 import GGUF_SHA256, smollm2_folder
from reproducer.models.zoo import (
    EMBEDDED,
    MODELS,
    RANDOM_PREFIX,
    SHAPE_PREFIX,
    UNTRAINED_SEED,
    ModelEntry,
)

COMMIT = re.compile("[0-9a-f]{40}")
# What configurations call the number of positions and the width: most, and GPT-2's family.
POSITIONS = ("max_position_embeddings", "n_positions")
WIDTH = ("hidden_size", "n_embd")
WEIGHT_FILES = ("*.safetensors", "*.bin", "*.gguf", "*.index.json")


@dataclass(frozen=True)
class ModelCard:
    """A model by name.

    Attributes:
        name: what it is asked for by; entry: its line in the zoo, or an empty one.
        weights: names the weights exactly: the digest of a file or of a folder's files, the hub's
            commit, or for untrained weights the digest of the shape that they are drawn for.
        folder: a local folder with its files, a hub name, or None for a shape of the zoo without
            a tokenizer of its own.
        revision: the hub's commit, or None for a folder.
    """

    name: str
    entry: ModelEntry
    weights: str
    folder: str | None
    revision: str | None = None

    @property
    def untrained(self) -> bool:
        """Whether the weights are drawn at random rather than loaded."""
        return self.name == "tiny" or self.name.startswith(RANDOM_PREFIX)

    @property
    def arrangement(self) -> str:
        """The arrangement that experiments after A1 use on this model."""
        return self.entry.arrangement

    @cached_property
    def config(self) -> dict[str, Any]:
        """The fields of the model's configuration."""
        if self.entry.shape:
            return self.entry.shape
        path = self.file("config.json")
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ReproducerError(f"expected JSON in {path}, got: {error}") from error
        if not isinstance(fields, dict):
            raise ReproducerError(f"expected a model's configuration in {path}, got {fields!r:.40}")
        return fields

    @property
    def max_positions(self) -> int:
        """How many input positions the model has."""
        return self._size(POSITIONS)

    @property
    def d_model(self) -> int:
        """The width of the model's input embeddings."""
        return self._size(WIDTH)

    @property
    def bos_token_id(self) -> int:
        """The token that stands before a text when the model reads it autoregressively."""
        ids = (self.config.get("bos_token_id"), self.config.get("eos_token_id"))
        return next((i for i in ids if isinstance(i, int)), 0)

    def _size(self, names: tuple[str, ...]) -> int:
        for name in names:
            number = self.config.get(name)
            if isinstance(number, int) and not isinstance(number, bool) and number > 0:
                return number
        raise ReproducerError(
            f"model {self.name!r}: expected {' or '.join(names)} of at least 1 in its configuration"
        )

    @cached_property
    def tokenizer(self) -> TextTokenizer:
        """The model's tokenizer, loaded on first use."""
        if self.folder is None:
            return TextTokenizer(byte_tokenizer())
        path = self.file("tokenizer.json")
        try:
            return TextTokenizer(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises nothing narrower
            raise ReproducerError(f"expected a tokenizer in {path}, got: {error}") from error

    def file(self, name: str) -> Path:
        """A file of the model: in its folder, or fetched from the hub into its cache."""
        if _is_folder(self.folder):
            path = Path(self.folder) / name
            if not path.exists():
                raise ReproducerError(f"expected {name} in the model folder {self.folder}")
            return path
        import huggingface_hub

        settle_hub()
        with loading_errors(self.folder):
            return Path(
                huggingface_hub.hf_hub_download(self.folder, name, revision=self.revision)
            )


class TextTokenizer:
    """Token ids of a text and back, without special tokens."""

    def __init__(self, core: tokenizers.Tokenizer) -> None:
        self.core = core

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of `text`; raises `ReproducerError` for half of a surrogate pair."""
        try:
            return tuple(self.core.encode(text, add_special_tokens=False).ids)
        except TypeError as error:
            raise ReproducerError(
                f"expected text of whole characters, got {shown(text)}, which no encoding has"
            ) from error

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""
        return self.core.decode(list(tokens), skip_special_tokens=False)


def byte_tokenizer() -> tokenizers.Tokenizer:
    """One token a byte, and two special tokens: the tokenizer of `tiny`, made in memory."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    core = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    core.add_special_tokens(["<bos>", "<eos>"])
    return core


@lru_cache
def model_card(name: str) -> ModelCard:
    """The card of a model; see `load_lm` for the names.

    Raises:
        ReproducerError: an unknown name, a folder that holds no model, an unreachable hub.
    """
    if SHAPE_PREFIX in name:
        return _shape_card(name)
    base, changes = split_name(name.removeprefix(RANDOM_PREFIX))
    base, wanted = _name_and_revision(base)
    entry = MODELS.get(base) or ModelEntry(hub=_place(base))
    folder = str(smollm2_folder()) if base == EMBEDDED else entry.hub
    if changes:
        _require_untrained(name, entry)
        entry = replace(entry, shape=resized(entry.shape, changes))
    if name.startswith(RANDOM_PREFIX) or base == "tiny":
        shape = entry.shape or ModelCard(name, entry, "", folder).config
        return ModelCard(name, entry, f"untrained:{_digest(shape)}", folder)
    if base == EMBEDDED:
        return ModelCard(name, entry, f"gguf:{GGUF_SHA256}", folder)
    if _is_folder(folder):
        return ModelCard(name, entry, f"files:{_folder_digest(Path(folder))}", folder)
    revision = wanted or entry.revision or "main"
    if not COMMIT.fullmatch(revision):
        revision = _hub_commit(folder, revision)
    return ModelCard(name, entry, f"hub:{folder}@{revision}", folder, revision)


def _require_untrained(name: str, entry: ModelEntry) -> None:
    """Raises unless the weights are drawn, for a shape of the zoo: only that can change."""
    if not name.startswith(RANDOM_PREFIX) or not entry.shape:
        raise ReproducerError(
            f"model {shown(name)}: expected changes of a shape after {RANDOM_PREFIX} and one of "
            f"{', '.join(MODELS)}"
        )


def _shape_card(name: str) -> ModelCard:
    base, changes = split_name(name.removeprefix(RANDOM_PREFIX).removeprefix(SHAPE_PREFIX))
    entry = MODELS[require_name("model of a published shape", base, MODELS)]
    entry = replace(entry, shape=resized(entry.shape, changes))
    return ModelCard(name, entry, f"shape:{_digest(entry.shape)}", str(smollm2_folder()))


def _digest(shape: dict[str, Any]) -> str:
    canonical = json.dumps({"seed": UNTRAINED_SEED, **shape}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of a model folder's configuration and weights."""
    files = [folder / "config.json", *(f for p in WEIGHT_FILES for f in folder.glob(p))]
    total = hashlib.sha256()
    for path in sorted(set(files)):
        try:
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ReproducerError(f"cannot read {path}: {error.strerror}") from error
        total.update(f"{path.name} {content}\n".encode())
    return total.hexdigest()


def _place(name: str) -> str:
    """The folder or hub name that `name` means."""
    if name and _is_folder(name):
        if not (Path(name) / "config.json").exists():
            raise ReproducerError(f"expected a model in {name}: the folder has no config.json")
        return str(Path(name).resolve())
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return name
    raise ReproducerError(
        f"unknown model {shown(name)}: neither a folder nor a hub name; "
        f"{did_you_mean(name, MODELS)}"
    )


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:  # a name that is longer than names can be, for one
        return False


def _name_and_revision(name: str) -> tuple[str, str]:
    """The two parts of `name@revision`; the second is empty where none is given."""
    base, at, revision = name.partition("@")
    if not at or _is_folder(name):
        return name, ""
    hub_model = bool(MODELS[base].hub) if base in MODELS else not _is_folder(base)
    if not revision or not hub_model:
        raise ReproducerError(
            f"model {shown(name)}: expected a branch, tag or commit of a hub's model after @"
        )
    return base, revision


def _hub_commit(name: str, revision: str) -> str:
    """The commit of a branch or tag, in the local cache or else at the hub."""
    import huggingface_hub

    with loading_errors(name):
        cached = huggingface_hub.try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name
        settle_hub()
        return huggingface_hub.HfApi().model_info(name, revision=revision, timeout=SECONDS).sha


@contextlib.contextmanager
def loading_errors(place: str) -> Iterator[None]:
    """Tell whatever goes wrong while reading from `place` in one line."""
    try:
        yield
    except MemoryError:
        raise
    # A broken checkpoint fails in as many ways as the library has readers: bad JSON, a header of
    # a file cut short, a division by a number of heads that is zero.
    except Exception as error:
        if "DefaultCPUAllocator" in str(error):  # PyTorch's word for a lack of memory
            raise
        if "trust_remote_code" in str(error):
            reason = f"{place} brings code of its own, which is never run; expected weights alone"
            raise ReproducerError(reason) from error
        from_network = isinstance(error, OSError) or type(error).__module__.startswith("httpx")
        if _is_folder(place) or not from_network:
            reason = f"expected a causal language model in {place:.200}"
        else:
            reason = (
                f"cannot load {shown(place)} from the hub: unreachable, gated or not there "
                "(for a gated model accept its licence and set HF_TOKEN; "
                "smollm2-135m works without the hub)"
            )
        told = " ".join(str(error).split())[:200]
        raise ReproducerError(f"{reason}: {type(error).__name__}: {told}") from error
