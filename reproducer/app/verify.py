"""Are the stored fits what they say? Their accuracies, computed again without the solver's code.

The library's own model in float32 reads the stored vectors, placed as the arrangement says, and the
most likely token of every position is compared with the text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reproducer.errors import ReproducerError
from reproducer.models.card import model_card
from reproducer.readings.encoder import EncodedFitSpec, EncodedSpec
from reproducer.results.fits import FitSpec
from reproducer.results.packs import packs
from reproducer.results.solutions import proto_tokens
from reproducer.results.specs import Result
from reproducer.solver.arrangements import arrangement

if TYPE_CHECKING:
    from torch import nn

# Logits that are nearer to each other than this are equal but for rounding.
TIE = 1e-3
SEQUENCES = 16  # in one forward pass
KINDS = {"fit": FitSpec, "encoded fit": EncodedFitSpec, "encoded": EncodedSpec}


@dataclass(frozen=True)
class Check:
    """One fit, or the texts of one encoder: how many of its `n_tokens` are right, as stored and as
    computed again.

    `ties`: tokens that differ, where wanted and most likely token have the same logit but for
    rounding; `differ`: those that differ by more.
    """

    key: str
    model: str
    n_tokens: int
    stored: int
    computed: int
    ties: int
    differ: int


def verify(sample: int | None = None, seed: int = 0) -> Iterator[Check]:
    """Check shipped fits and encodings, all or `sample` of them drawn at random.

    Raises:
        ReproducerError: a sample of less than 1, or a model whose weights are not those that a fit
            was computed with.
    """
    if sample is not None and sample < 1:
        raise ReproducerError(f"expected a sample of at least 1, got {sample}")
    facts = (packs().get(key, arrays=False) for key in packs().keys())
    fits = [(fact.spec["model"], fact.key) for fact in facts if fact and fact.spec["kind"] in KINDS]
    if sample is not None:
        fits = sorted(random.Random(seed).sample(fits, min(sample, len(fits))))
    loaded: dict[str, nn.Module] = {}
    for model, key in sorted(fits):
        if model not in loaded:
            loaded = {model: _library_model(model)}
        result = packs().get(key)
        if result is not None:
            yield _check(result, loaded[model])


def _library_model(name: str) -> nn.Module:
    # Imported late: the command's help does without PyTorch.
    from reproducer.models.checkpoints import read_config, read_model, untrained_model

    card = model_card(name)
    if card.untrained:
        return untrained_model(read_config(card), name).eval()
    return read_model(card.folder, card.revision).eval()


def _check(result: Result, hf: nn.Module) -> Check:
    fit = KINDS[result.spec["kind"]](**result.spec)
    if fit.weights != (weights := model_card(fit.model).weights):
        raise ReproducerError(
            f"model {fit.model!r}: expected the weights {fit.weights}, got {weights}"
        )
    if isinstance(fit, EncodedSpec):
        texts, x, stored = fit.texts, _encoded(fit, result), result.arrays["correct_encoder"]
    else:
        texts, x, stored = fit.sequences, inputs(fit, result), result.arrays["correct"]
    right, tied = _right(hf, x, np.array([text.tokens for text in texts]))
    other = right != stored
    return Check(
        key=fit.key,
        model=fit.model,
        n_tokens=stored.size,
        stored=int(stored.sum()),
        computed=int(right.sum()),
        ties=int((other & tied).sum()),
        differ=int((other & ~tied).sum()),
    )


def inputs(fit: FitSpec, result: Result) -> np.ndarray:
    """The input embeddings of a fit (n_sequences, n_inputs, d_model), from its stored rows."""
    return _placed(proto_tokens(fit, result), fit.arrangement, fit.n_tokens)


def _encoded(spec: EncodedSpec, result: Result) -> np.ndarray:
    """The same of an encoder's stored vectors."""
    e, m = result.arrays["e"], result.arrays["m"]
    vectors = np.stack([e, np.broadcast_to(m, e.shape)], axis=1)
    return _placed(vectors, spec.encoder.arrangement, spec.encoder.n_tokens)


def _placed(vectors: np.ndarray, name: str, n_tokens: int) -> np.ndarray:
    """`e` and `m` of each sequence (n_sequences, 2, d_model), where the arrangement has them."""
    return vectors[:, ["em".index(role) for role in arrangement(name).roles(n_tokens)]]


def _right(hf: nn.Module, x: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each target (n_sequences, n_tokens) is the most likely token, and whether it ties."""
    import torch

    right, tied = [], []
    for first in range(0, len(x), SEQUENCES):
        part = slice(first, first + SEQUENCES)
        with torch.no_grad():
            logits = hf(inputs_embeds=torch.from_numpy(x[part]), use_cache=False).logits
        logits = logits[:, -targets.shape[1] :].numpy()
        wanted = np.take_along_axis(logits, targets[part, :, None], 2)[..., 0]
        right.append(logits.argmax(-1) == targets[part])
        # Where the target wins, a tie is with the runner-up.
        np.put_along_axis(logits, targets[part, :, None], -np.inf, 2)
        tied.append(abs(logits.max(-1) - wanted) < TIE)
    return np.concatenate(right), np.concatenate(tied)
