"""Which words the model can be made to say from a position, by any input there. Not in the papers.

Each word is a problem of the batched solver: one trained vector, after given tokens or after
nothing, whose position must predict the word. Where that succeeds the word is reached; a word that
is not reached within the steps of the recipe may still have an input that says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.results.fits import draw_row, require_positions
from reproducer.results.specs import Result, Size, SolveSpec

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem


class ReachSpec(SolveSpec):
    """One vector that makes the model say the token `word`, after the tokens `before`.

    Rows of the solution: the vector. The start is drawn by the word and the seed.
    """

    kind: Literal["reach"] = "reach"
    word: int = Field(ge=0)
    before: tuple[int, ...] = ()
    warm_start: Literal[""] = ""

    @property
    def size(self) -> Size:
        return Size(n_sequences=1, n_inputs=len(self.before) + 1, n_tokens=1, n_rows=1)

    def problem(self, lm: LanguageModel, needed: Sequence[Result] = ()) -> Problem:
        import torch

        from reproducer.solver.problem import Problem

        n_before = len(self.before)
        require_positions(lm, n_before + 1)
        given = torch.tensor(self.before, dtype=torch.long)
        return Problem(
            rows=draw_row(lm.d_model, self.recipe, self.seed, "reach", str(self.word))[None],
            index=torch.tensor([[*range(1, n_before + 1), 0]]),
            targets=torch.tensor([[self.word]]),
            offset=n_before,
            frozen=lm.embed(given).cpu() if n_before else None,
        )
