"""The autoregressive predecessor: K trained `[mem]` vectors in front of the text itself.

Kuratov et al. (arXiv 2502.13063) train vectors after which a frozen model, decoding one token
after another, writes a text. In training the text's own embeddings follow the vectors (teacher
forcing), so the fit is another problem of the same solver: the `[mem]` are the trained rows, the
embeddings of the text are frozen ones. Whether decoding really returns the text is checked with
the model's own tokens fed back.

Their logits are taken after the `[mem]` and shifted, so the first input token is given and never
scored. The tokenizer decides which that is: with Llama's it is the beginning-of-text token, and all
of the text is scored; with Pythia's it is t_1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reproducer.results.fits import draw_row, require_positions, require_tokens
from reproducer.results.growth import Growth
from reproducer.results.specs import Measurement, Outcome, Result, Size, SolveSpec
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    import torch

    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem


class MemSpec(SolveSpec):
    """`n_mem` vectors that make the model write `text` token by token.

    `first` says what follows the vectors: `bos`, the beginning-of-text token, which predicts t_1
    (Kuratov et al. on Llama); `t1`, the text itself, whose t_1 is given and not scored (on Pythia);
    `mem`, nothing: the last `[mem]` has to predict t_1 (not in the paper).

    `init`: whether the vectors start as `recipe` says or, as in Kuratov et al., from a normal
    distribution with the standard deviation of the model's input embeddings.
    """

    kind: Literal["mem"] = "mem"
    text: Text
    n_mem: int = Field(1, ge=1)
    first: Literal["mem", "bos", "t1"] = "mem"
    init: Literal["recipe", "embeddings"] = "recipe"
    warm_start: Literal[""] = ""

    @model_validator(mode="after")
    def _something_is_scored(self) -> MemSpec:
        if not self.targets:
            raise ValueError("expected 2 or more tokens where the first is given, got 1")
        return self

    @property
    def n_tokens(self) -> int:
        return len(self.text.tokens)

    @property
    def targets(self) -> tuple[int, ...]:
        """The tokens that are scored."""
        return self.text.tokens[1 if self.first == "t1" else 0 :]

    @property
    def size(self) -> Size:
        n_given = {"mem": 0, "bos": 1, "t1": 1}[self.first]
        n_tokens = len(self.targets)
        return Size(1, self.n_mem + n_given + n_tokens - 1, n_tokens, self.n_mem)

    @property
    def line(self) -> tuple:
        return (self.model, self.n_mem, self.first, self.seed, self.text.source, self.text.id)

    def given(self, lm: LanguageModel) -> tuple[int, ...]:
        """The tokens that stand between the vectors and the first scored one."""
        return {"mem": (), "bos": (lm.bos_token_id,), "t1": self.text.tokens[:1]}[self.first]

    def problem(self, lm: LanguageModel, needed: Sequence[Result] = ()) -> Problem:
        import torch

        from reproducer.solver.problem import Problem

        read = torch.tensor([*self.given(lm), *self.targets[:-1]], dtype=torch.long)
        n_inputs = self.n_mem + len(read)
        require_positions(lm, n_inputs)
        require_tokens(lm, self.text.tokens)
        return Problem(
            rows=self.start(lm, needed),
            index=torch.arange(n_inputs)[None],
            targets=torch.tensor([self.targets]),
            offset=n_inputs - len(self.targets),
            frozen=lm.embed(read).cpu() if len(read) else None,
        )

    def start(self, lm: LanguageModel, needed: Sequence[Result]) -> torch.Tensor:
        """The vectors before the first step, (n_mem, d_model)."""
        import torch

        recipe = self.recipe
        if self.init == "embeddings":
            std = lm.hf.get_input_embeddings().weight.std().item()
            recipe = recipe.model_copy(update={"init_std": std})
        label = ("mem", "common" if recipe.start == "common" else self.text.digest)
        rows = [draw_row(lm.d_model, recipe, self.seed, *label, str(k)) for k in range(self.n_mem)]
        return torch.stack(rows)


class MemGrowSpec(Growth, MemSpec):
    """`[mem]` vectors that start at those of a shorter prefix of the same text."""

    kind: Literal["mem_grow"] = "mem_grow"

    FIRST: ClassVar[type[SolveSpec]] = MemSpec

    def prefix_fields(self, n_tokens: int) -> dict[str, Any]:
        return {"text": self.text.prefix(n_tokens)}


class GreedySpec(Measurement):
    """What the solutions of `fits`, of one `n_mem` and `first`, write when decoded greedily.

    The result's `correct` is (n_fits, N) bool with N the most scored tokens; a shorter text's row
    is False beyond its end. `accuracy` is over each text's own scored tokens.
    """

    kind: Literal["greedy"] = "greedy"
    fits: tuple[MemGrowSpec | MemSpec, ...] = Field(min_length=1)

    @property
    def needs(self) -> tuple[MemSpec, ...]:
        return self.fits

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        import torch

        from reproducer.models.sampling import greedy_tokens

        lengths = [len(fit.targets) for fit in self.fits]
        given = torch.tensor([fit.given(lm) for fit in self.fits], dtype=torch.long)
        mem = torch.from_numpy(np.stack([result.arrays["rows"] for result in needed]))
        start = torch.cat([mem.to(lm.device), lm.embed(given)], dim=1)
        written = greedy_tokens(lm, start, max(lengths)).cpu().numpy()
        correct = np.zeros(written.shape, dtype=bool)
        for row, fit, tokens in zip(correct, self.fits, written, strict=True):
            n = len(fit.targets)
            row[:n] = tokens[:n] == fit.targets
        right = correct.sum(1).tolist()
        accuracy = [count / n for count, n in zip(right, lengths, strict=True)]
        return Outcome({"accuracy": accuracy}, {"correct": correct})
