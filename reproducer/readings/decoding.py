"""Two ways from vectors to a text: one forward pass, or token after token.

Each exists twice. `library` is what a user of transformers writes: a forward call, and
`generate`. `fast` is the same computation done as well as we can: the lean decoder, for the
autoregressive side with keys and values in buffers of fixed size, and on CUDA recorded as a
graph, so that neither side waits for the host. Comparing like with like is then possible.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reproducer.decoder.lean import LeanBlock, LeanDecoder
from reproducer.decoder.ops import position_tables, rms_norm, swiglu
from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel

HEAD_ROWS = 4096  # rows of logits held at a time


@torch.no_grad()
def one_pass(lm: LanguageModel, x: Tensor, offset: int = 0) -> Tensor:
    """The most likely token at every input from `offset` on: (B, L, d_model) → (B, L − offset)."""
    decoder = lm.decoder()
    hidden = decoder(x.to(lm.dtype))[:, offset:]
    rows = hidden.reshape(-1, lm.d_model).split(HEAD_ROWS)
    best = [F.linear(part, decoder.head, decoder.head_bias).argmax(-1) for part in rows]
    return torch.cat(best).view(hidden.shape[:2])


@torch.no_grad()
def library_one_pass(lm: LanguageModel, x: Tensor, offset: int = 0) -> Tensor:
    """`one_pass` by the library's model."""
    model = library_model(lm)
    return model(inputs_embeds=x.to(lm.dtype), use_cache=False).logits[:, offset:].argmax(-1)


@torch.no_grad()
def library_generate(lm: LanguageModel, start: Tensor, n_tokens: int) -> Tensor:
    """Greedy `generate` after the vectors `start` (B, L, d_model): (B, n_tokens)."""
    return library_model(lm).generate(
        inputs_embeds=start.to(lm.dtype),
        attention_mask=torch.ones(start.shape[:2], dtype=torch.long, device=lm.device),
        max_new_tokens=n_tokens,
        min_new_tokens=n_tokens,
        do_sample=False,
        pad_token_id=0,
    )


def library_model(lm: LanguageModel) -> nn.Module:
    """The library's model in the dtype of solving, copied once."""
    if next(lm.hf.parameters()).dtype == lm.dtype:
        return lm.hf
    if lm not in _copied:
        _copied[lm] = copy.deepcopy(lm.hf).to(lm.dtype)
    return _copied[lm]


_copied: WeakKeyDictionary[LanguageModel, nn.Module] = WeakKeyDictionary()


class CachedDecoder:
    """Greedy decoding of `batch` texts of `n_tokens` tokens, each after one vector.

    Raises `ReproducerError` for a model that has no lean decoder.
    """

    def __init__(self, lm: LanguageModel, batch: int, n_tokens: int) -> None:
        self.decoder, self.embedding = lm.decoder(), lm.hf.get_input_embeddings().weight
        if not isinstance(self.decoder, LeanDecoder):
            raise ReproducerError(
                f"expected a Llama or GPT-NeoX model for cached decoding, got {lm.name!r}"
            )
        heads, device, dtype = self.decoder.shape.heads, lm.device, lm.dtype
        self.cos, self.sin, _ = position_tables(heads, n_tokens, device, dtype)
        kept = (len(self.decoder.blocks), batch, heads.n_kv, n_tokens, heads.head_dim)
        self.keys = torch.zeros(kept, device=device, dtype=dtype)
        self.values = torch.zeros(kept, device=device, dtype=dtype)
        self.slots = torch.arange(n_tokens, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.x = torch.zeros(batch, lm.d_model, device=device, dtype=dtype)
        self.tokens = torch.zeros(batch, n_tokens, dtype=torch.long, device=device)
        # A graph has one shape, so it attends to the whole buffer behind a mask.
        self.graph = recorded(lambda: self._step(n_tokens)) if device.type == "cuda" else None

    @torch.no_grad()
    def generate(self, start: Tensor) -> Tensor:
        """Tokens (batch, n_tokens) after the vectors `start` (batch, d_model)."""
        self.position.zero_()
        self.x.copy_(start)
        for i in range(self.tokens.shape[1]):
            self.graph() if self.graph else self._step(i + 1)
        return self.tokens

    @torch.no_grad()
    def _step(self, n_seen: int) -> None:
        """Read `x` at `position`, attending to the first `n_seen` slots; write the next token."""
        stream = self.x
        mask = (self.slots[:n_seen] <= self.position).view(1, 1, 1, -1)
        for layer, block in enumerate(self.decoder.blocks):
            stream = self._block(block, stream, layer, mask)
        hidden = self._norm(stream)
        token = F.linear(hidden, self.decoder.head, self.decoder.head_bias).argmax(-1)
        self.tokens.index_copy_(1, self.position, token[:, None])
        self.x.copy_(self.embedding.index_select(0, token))
        self.position += 1

    def _block(self, block: LeanBlock, x: Tensor, layer: int, mask: Tensor) -> Tensor:
        normed = self._norm(x)
        x = block.attention_out.added_to(x, self._attend(block.qkv(normed), layer, mask))
        normed = normed if self.decoder.shape.parallel_residual else self._norm(x)
        inner = block.mlp_in(normed)
        swiglus = self.decoder.shape.activation == "swiglu"
        return block.mlp_out.added_to(x, swiglu(inner) if swiglus else F.gelu(inner))

    def _attend(self, qkv: Tensor, layer: int, mask: Tensor) -> Tensor:
        heads, batch = self.decoder.shape.heads, len(qkv)
        turned = self._rotate(qkv.view(batch, heads.n_kv, heads.group, heads.head_dim))
        q, k, v = turned[:, :, :-2], turned[:, :, -2:-1], turned[:, :, -1:]
        self.keys[layer].index_copy_(2, self.position, k)
        self.values[layer].index_copy_(2, self.position, v)
        n_seen = mask.shape[-1]
        seen_keys, seen_values = (t[layer, :, :, :n_seen] for t in (self.keys, self.values))
        # The queries of one key-value head stand where a sequence's queries would: (B, n_kv, q, d).
        out = F.scaled_dot_product_attention(q, seen_keys, seen_values, attn_mask=mask, scale=1.0)
        return out.reshape(batch, -1)

    def _rotate(self, vectors: Tensor) -> Tensor:
        """Turn (B, n_kv, group, head_dim) by `position`; the table leaves values as they are."""
        cos = self.cos.index_select(1, self.position).squeeze(1)  # (group, head_dim)
        sin = self.sin.index_select(0, self.position)
        half = sin.shape[-1]
        turned = vectors * cos
        first, second = vectors[:, :, :-1, :half], vectors[:, :, :-1, half : 2 * half]
        turned[:, :, :-1, :half] -= second * sin
        turned[:, :, :-1, half : 2 * half] += first * sin
        return turned.to(vectors.dtype)

    def _norm(self, x: Tensor) -> Tensor:
        shape = self.decoder.shape
        if shape.norm == "rms":
            return rms_norm(x, shape.norm_eps)
        return F.layer_norm(x, x.shape[-1:], eps=shape.norm_eps)


def recorded(call: Callable[[], object]) -> Callable[[], object]:
    """`call` recorded as a CUDA graph after a warm-up; its tensors must keep their addresses."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.no_grad():
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        call()
    return graph.replay
