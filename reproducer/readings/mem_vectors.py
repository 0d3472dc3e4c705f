"""The autoregressive predecessor: K trained `[mem]` vectors in front of the text itself.

Kuratov et al. (arXiv 2502.13063) train vectors after which a frozen model, decoding one token
after another, writes a text. In training the text's own embeddings follow the vectors (teacher
forcing), so the fit is another problem of the same solver: the `[mem]` are the trained rows, the
embeddings of t_1 … t_{N−1} are frozen ones, and the last `[mem]` is the first input that
predicts. Whether decoding really returns the text is checked with the model's own tokens fed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from reproducer.results.fits import draw_row, require_positions
from reproducer.results.specs import Measurement, Outcome, Result, SolveSpec
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem


class MemSpec(SolveSpec):
    """`n_mem` vectors that make the model write `text` token by token."""

    kind: Literal["mem"] = "mem"
    text: Text
    n_mem: int = Field(1, ge=1)
    warm_start: Literal[""] = ""

    def problem(self, lm: LanguageModel, needed: Sequence[Result] = ()) -> Problem:
        import torch

        from reproducer.solver.problem import Problem

        tokens = torch.tensor(self.text.tokens)
        n_inputs = self.n_mem + len(tokens) - 1
        require_positions(lm, n_inputs)
        label = ("mem", "common" if self.recipe.start == "common" else self.text.digest)
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


class GreedySpec(Measurement):
    """What the solutions of `fits`, which have equally many vectors, write when decoded greedily.

    The result's `correct` is (n_fits, N) bool with N the longest text; a shorter text's row is
    False beyond its end. `accuracy` is over each text's own length.
    """

    kind: Literal["greedy"] = "greedy"
    fits: tuple[MemSpec, ...] = Field(min_length=1)

    @property
    def needs(self) -> tuple[MemSpec, ...]:
        return self.fits

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        import torch

        from reproducer.models.sampling import greedy_tokens

        mem = torch.from_numpy(np.stack([result.arrays["rows"] for result in needed]))
        lengths = [len(fit.text.tokens) for fit in self.fits]
        written = greedy_tokens(lm, mem.to(lm.device), max(lengths)).cpu().numpy()
        correct = np.zeros(written.shape, dtype=bool)
        for row, fit, tokens in zip(correct, self.fits, written, strict=True):
            n = len(fit.text.tokens)
            row[:n] = tokens[:n] == fit.text.tokens
        right = correct.sum(1).tolist()
        accuracy = [count / n for count, n in zip(right, lengths, strict=True)]
        return Outcome({"accuracy": accuracy}, {"correct": correct})

