"""Frozen language models: loading by name, and the three things the solver needs of them.

A `LanguageModel` keeps the library's model in float32 as the reference, and hands out lean
decoders (`reproducer.decoder.lean`) in the dtype that solving uses and in float32 for measuring.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from reproducer.decoder.lean import lean_decoder
from reproducer.errors import ReproducerError, require_name, shown
from reproducer.models.card import ModelCard, model_card
from reproducer.models.checkpoints import (
    read_config,
    read_model,
    read_tokenizer,
    untrained_model,
)
from reproducer.models.zoo import SHAPE_PREFIX

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class LibraryDecoder(nn.Module):
    """Any architecture, through the library's own code: the fallback of `lean_decoder`."""

    def __init__(self, hf: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        same = next(hf.parameters()).dtype == dtype
        self.hf = hf if same else _copy_in(hf, dtype)
        out = self.hf.get_output_embeddings()
        self.head, self.head_bias = out.weight, getattr(out, "bias", None)

    def forward(self, x: Tensor) -> Tensor:
        return self.hf.base_model(inputs_embeds=x, use_cache=False).last_hidden_state


def _copy_in(hf: nn.Module, dtype: torch.dtype) -> nn.Module:
    copied = type(hf)(hf.config).to(dtype).eval().requires_grad_(False)
    copied.load_state_dict(hf.state_dict())
    return copied.to(next(hf.parameters()).device)


@dataclass(eq=False)
class LanguageModel:
    """A frozen causal language model.

    Attributes:
        card: what it was loaded by; hf: the library's model, float32, on `device`.
        dtype: the dtype of solving; measuring is always in float32.
    """

    card: ModelCard
    hf: nn.Module
    device: torch.device
    dtype: torch.dtype
    # Shared by the same model in other dtypes (`in_dtype`).
    _decoders: dict[torch.dtype, nn.Module] = field(default_factory=dict, repr=False)
    _derived: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def config(self) -> Any:
        return self.hf.config

    @property
    def d_model(self) -> int:
        return self.hf.get_input_embeddings().weight.shape[1]

    @property
    def vocab_size(self) -> int:
        return self.hf.get_input_embeddings().weight.shape[0]

    @property
    def max_positions(self) -> int:
        return self.config.max_position_embeddings

    def in_dtype(self, dtype: str | torch.dtype) -> LanguageModel:
        """The same model solving in `dtype`; weights, tokenizer and decoders are shared."""
        return replace(self, dtype=_dtype(dtype, self.device))

    @property
    def tokenizer(self) -> transformers.PreTrainedTokenizerBase:
        """The model's tokenizer, loaded on first use."""
        if "tokenizer" not in self._derived:
            self._derived["tokenizer"] = read_tokenizer(self.card)
        return self._derived["tokenizer"]

    @property
    def bos_token_id(self) -> int:
        """The token that stands before a text when the model reads it autoregressively."""
        return self.card.bos_token_id

    @property
    def digest(self) -> str:
        """SHA-256 over names, shapes and float32 values of all weights, made on first use."""
        if "digest" not in self._derived:
            self._derived["digest"] = _digest(self.hf)
        return self._derived["digest"]

    def decoder(self, dtype: torch.dtype | None = None) -> nn.Module:
        """The decoder in `dtype` (None: that of solving): lean where the family has one."""
        dtype = dtype or self.dtype
        if dtype not in self._decoders:
            lean = lean_decoder(self.hf)
            self._decoders[dtype] = lean.to(dtype) if lean else LibraryDecoder(self.hf, dtype)
        return self._decoders[dtype]

    def embed(self, tokens: Tensor) -> Tensor:
        """Input embeddings (…, d_model), float32, of `tokens` (…)."""
        return self.hf.get_input_embeddings()(tokens.to(self.device))

    def logits(self, x: Tensor) -> Tensor:
        """Logits (B, L, vocab) of input embeddings `x` (B, L, d_model), in `x`'s dtype.

        Through the decoder of that dtype, so float32 embeddings are measured in float32.
        """
        decoder = self.decoder(x.dtype)
        return nn.functional.linear(decoder(x), decoder.head, decoder.head_bias)


def _digest(hf: nn.Module) -> str:
    total = hashlib.sha256()
    for key, value in sorted(hf.state_dict().items()):
        total.update(f"{key}{tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def load_lm(name: str, device: str = "auto", dtype: str = "auto") -> LanguageModel:
    """Load a frozen language model.

    Args:
        name: `smollm2-135m` (embedded), a short name of `MODELS`, `tiny` (random weights, for
            tests), `random:<name>` (untrained weights of that shape, seeded; for a short name
            with changes after it, as `:layers=8:width=384:vocab=4096`), a local folder, or a hub
            name, which may have a branch, tag or commit after it (`name@revision`). Code that a
            checkpoint brings along is never run.
        device: `auto` (CUDA if there is one), `cpu`, `cuda`, `cuda:1`, …
        dtype: of solving: `float32`, `bfloat16`, or `auto`, which is `fastest_dtype`.

    Raises:
        ReproducerError: unknown name, device or dtype, or a checkpoint that cannot be used
            (`reproducer.models.checkpoints`).
    """
    where = device_of(device)
    solving = _dtype(dtype, where)
    card = model_card(name)
    if SHAPE_PREFIX in name:
        raise ReproducerError(f"model {name!r} is a shape to plan with: expected one with weights")
    if card.untrained:
        hf = untrained_model(read_config(card), card.name)
    else:
        hf = read_model(card.folder, card.revision)
    hf = hf.to(where).eval().requires_grad_(False)
    return LanguageModel(card, hf, where, solving)


def device_of(device: str) -> torch.device:
    """The device called `device`, or the best one here for `auto`; raises if it is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(device)
        torch.empty(1, device=where).item()  # of a device without numbers there is none
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ReproducerError(f"cannot use device {shown(device)}: {reason:.200}") from error
    return where


def fastest_dtype(device: str | torch.device) -> str:
    """`bfloat16` where the device computes in it natively, else `float32`."""
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        cpu = torch.cpu
        native = cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def _dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    name = str(dtype).removeprefix("torch.")
    name = fastest_dtype(device) if name == "auto" else require_name("dtype", name, DTYPES)
    return DTYPES[name]

