"""Texts that the model samples itself: continuations of other passages at temperature 1.

Mezentsev & Oseledets ("PG-19 (gen)"): for each context a continuation as long as the text it
replaces. The context is the first half of a passage's sentences, the text we would otherwise
have fitted is its second half.
"""

from __future__ import annotations

import itertools
import json
import os

import torch
from tqdm import tqdm

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.paths import cache_dir
from reproducer.texts.sources import Text, halves, passages, tokenize

CONTEXT_TOKENS = 128


def generated_texts(
    lm: LanguageModel, contexts: str, n_texts: int, n_tokens: int, seed: int = 0
) -> list[Text]:
    """Sample one text of `n_tokens` tokens for each of the first `n_texts` passages.

    Sampling is token by token from one seeded stream a text, so a shorter text is a prefix
    of a longer one. Results are cached by model digest, context and seed.
    """
    texts = []
    for name, passage in tqdm(itertools.islice(passages(contexts), n_texts), "sampling texts"):
        context = tokenize(lm, halves(passage)[0])[-CONTEXT_TOKENS:]
        tokens = _cached_sample(lm, context, n_tokens, seed)
        texts.append(Text(source=f"generated:{contexts}", id=f"generated-{name}", tokens=tokens))
    if len(texts) < n_texts:
        raise ReproducerError(
            f"source 'generated:{contexts}': expected {n_texts} contexts, got {len(texts)}"
        )
    return texts


def _cached_sample(
    lm: LanguageModel, context: tuple[int, ...], n_tokens: int, seed: int
) -> tuple[int, ...]:
    mark = Text(source="context", id="", tokens=context).digest
    path = cache_dir() / "generated" / f"{lm.digest[:16]}-{mark}-{seed}.json"
    if path.exists():
        known = json.loads(path.read_text())
        if len(known) >= n_tokens:
            return tuple(known[:n_tokens])
    tokens = sample(lm, context, n_tokens, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_text(json.dumps(tokens))
    os.replace(scratch, path)
    return tuple(tokens)


@torch.no_grad()
def sample(lm: LanguageModel, context: tuple[int, ...], n_tokens: int, seed: int) -> list[int]:
    """`n_tokens` token ids after `context` at temperature 1, special tokens excluded."""
    draw = torch.Generator().manual_seed(seed)
    banned = torch.tensor(sorted(set(lm.tokenizer.all_special_ids) | {lm.bos_token_id}))
    fresh = torch.tensor([[lm.bos_token_id, *context]], device=lm.device)
    cache, tokens = None, []
    for _ in range(n_tokens):
        out = lm.hf(input_ids=fresh, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        logits = out.logits[0, -1].float().cpu()
        logits[banned[banned < len(logits)]] = -torch.inf
        fresh = torch.multinomial(logits.softmax(-1), 1, generator=draw)[None].to(lm.device)
        tokens.append(int(fresh))
    return tokens
