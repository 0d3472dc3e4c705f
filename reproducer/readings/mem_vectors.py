"""The autoregressive predecessor: K trained `[mem]` vectors in front of the text itself.

Kuratov et al. (arXiv 2502.13063) train vectors after which a frozen model, decoding one token
after another, writes a text. In training the text's own embeddings follow the vectors (teacher
forcing), so the fit is another problem of the same solver: the `[mem]` are the trained rows, the
embeddings of t_1 … t_{N−1} are frozen ones, and the last `[mem]` is the first input that
predicts. Whether decoding really returns the text is checked with the model's own tokens fed back.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from reproducer.models.language_model import LanguageModel
from reproducer.results.provenance import provenance
from reproducer.results.run import cached_lm, compute
from reproducer.results.specs import SolveSpec, Spec, draw_row, require_positions
from reproducer.results.store import Result
from reproducer.solver.problem import Problem
from reproducer.texts.sources import Text


class MemSpec(SolveSpec):
    """`n_mem` vectors that make the model write `text` token by token."""

    kind: Literal["mem"] = "mem"
    text: Text
    n_mem: int = Field(1, ge=1)

    def problem(self, lm: LanguageModel) -> Problem:
        tokens = torch.tensor(self.text.tokens)
        n_inputs = self.n_mem + len(tokens) - 1
        require_positions(lm, n_inputs)
        label = ("mem", self.text.digest)
        rows = [
            draw_row(lm.d_model, self.recipe, self.seed, *label, str(k)) for k in range(self.n_mem)
        ]
        return Problem(
            rows=torch.stack(rows),
            index=torch.arange(n_inputs)[None],
            targets=tokens[None],
            offset=self.n_mem - 1,
            frozen=lm.embed(tokens[:-1]).cpu() if len(tokens) > 1 else None,
        )


class GreedySpec(Spec):
    """What the solutions of `fits`, which have equally many vectors, write when decoded greedily.

    The result's `correct` is (n_fits, N) bool with N the longest text; a shorter text's row is
    False beyond its end. `accuracy` is over each text's own length.
    """

    kind: Literal["greedy"] = "greedy"
    fits: tuple[MemSpec, ...] = Field(min_length=1)

    def run(self) -> Result:
        lm = cached_lm(self.model, self.dtype)
        solved = compute(self.fits, progress=False)
        mem = torch.stack([result.arrays["rows"] for result in solved])
        lengths = [len(fit.text.tokens) for fit in self.fits]
        written = greedy_tokens(lm, mem.to(lm.device), max(lengths)).cpu()
        correct = torch.zeros_like(written, dtype=torch.bool)
        for row, fit, came in zip(correct, self.fits, written, strict=True):
            n = len(fit.text.tokens)
            row[:n] = came[:n] == torch.tensor(fit.text.tokens)
        right = correct.sum(1).tolist()
        accuracy = [count / n for count, n in zip(right, lengths, strict=True)]
        spec = self.model_dump(mode="json")
        return Result(self.key, spec, {"accuracy": accuracy}, {"correct": correct}, provenance(lm))


@torch.no_grad()
def greedy_tokens(lm: LanguageModel, mem: Tensor, n_tokens: int) -> Tensor:
    """Greedy decoding in float32 after `mem` (B, K, d_model): token ids (B, n_tokens).

    Every token is fed back as the next input; nothing of the wanted text is.
    """
    x, cache, written = mem.float(), None, []
    for _ in range(n_tokens):
        out = lm.hf(inputs_embeds=x, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        written.append(out.logits[:, -1].argmax(-1))
        x = lm.embed(written[-1])[:, None]  # (B, 1, d_model)
    return torch.stack(written, dim=1)
