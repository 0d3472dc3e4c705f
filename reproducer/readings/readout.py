"""Reading proto-tokens without decoding them: what the model writes after `e`, `m` or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from reproducer.results.fits import FitSpec
from reproducer.results.solutions import points_of
from reproducer.results.specs import Measurement, Outcome, Result

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel

# What stands before the generated text. The last two are controls: nothing, and the text itself.
Prompt = Literal["e", "m", "e m", "BOS e", "BOS m", "BOS e m", "BOS", "BOS text"]
CONTROLS = ("BOS", "BOS text")


class ReadoutSpec(Measurement):
    """`n_new_tokens` tokens that the model writes after a prompt made of each fit's solution.

    All fits are of one length. Text `i` is drawn with seed `seed + i`.
    """

    kind: Literal["readout"] = "readout"
    fits: tuple[FitSpec, ...] = Field(min_length=1)
    prompt: Prompt
    n_new_tokens: int = Field(ge=1)
    temperature: float = Field(1.0, ge=0)
    seed: int = Field(0, ge=0)

    @property
    def needs(self) -> tuple[FitSpec, ...]:
        return self.fits

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Array `tokens`, (n_fits, n_new_tokens)."""
        from reproducer.models.sampling import write_after

        start = prompts(lm, needed, self.prompt)
        seeds = range(self.seed, self.seed + len(self.fits))
        tokens = write_after(lm, start, self.n_new_tokens, seeds, self.temperature)
        return Outcome({}, {"tokens": tokens})


def prompts(lm: LanguageModel, fits: Sequence[Result], prompt: Prompt) -> Tensor:
    """Input embeddings of a prompt for the first sequence of each fit, (n_fits, L, d_model)."""
    import torch

    firsts = [points_of([result])[0] for result in fits]
    rows = np.stack([point.rows for point in firsts])
    solutions = torch.from_numpy(rows).to(lm.device)  # (n_fits, 2, d)
    bos = lm.embed(torch.tensor([lm.bos_token_id])).expand(len(fits), 1, -1)
    parts = {
        "e": solutions[:, :1],
        "m": solutions[:, 1:],
        "BOS": bos,
        "text": lm.embed(torch.tensor([point.text.tokens for point in firsts])),
    }
    return torch.cat([parts[name] for name in prompt.split()], dim=1)


def distinct(tokens: Sequence[int], n: int) -> float:
    """Different n-grams ÷ all n-grams: 1 where none repeats (Li et al. 2016)."""
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0
