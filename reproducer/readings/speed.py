"""How long decoding and training take, as results: measured, stored, and told with the device.

Weights do not matter for time, so any model will do, `random:<name>` included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reproducer.results.fits import draw_row, require_positions
from reproducer.results.specs import Outcome, Result, Spec
from reproducer.solver.arrangements import arrangement
from reproducer.solver.recipes import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from reproducer.models.language_model import LanguageModel
    from reproducer.solver.problem import Problem

RECIPE = Recipe(name="paper")


class SpeedSpec(Spec):
    """The time of one call for `batch` texts of `n_tokens` tokens, median of `repeats`."""

    n_tokens: int = Field(ge=1)
    batch: int = Field(ge=1)
    repeats: int = Field(ge=1)

    def call(self, lm: LanguageModel) -> Callable[[], object]:
        """What is timed."""
        raise NotImplementedError

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Metrics `seconds` (the median), `spread`, `tokens_per_second` of the batch, `on_gpu`."""
        from reproducer.readings.timing import time_call

        timing = time_call(self.call(lm), lm.device, repeats=self.repeats)
        metrics = {
            "seconds": timing.seconds,
            "spread": timing.spread,
            "tokens_per_second": self.batch * self.n_tokens / timing.seconds,
            "on_gpu": lm.device.type == "cuda",
        }
        return Outcome(metrics, {})


class DecodingSpec(SpeedSpec):
    """From vectors to token ids, in one forward pass or token by token; see `decoding`."""

    kind: Literal["decoding_time"] = "decoding_time"
    way: Literal["one pass", "autoregressive"]
    code: Literal["library", "fast"]

    def call(self, lm: LanguageModel) -> Callable[[], object]:
        from reproducer.readings.decoding import (
            CachedDecoder,
            library_generate,
            library_one_pass,
            one_pass,
            recorded,
        )

        x, offset = random_inputs(lm, self.batch, self.n_tokens)
        if self.way == "one pass":
            run = one_pass if self.code == "fast" else library_one_pass
            graphed = self.code == "fast" and lm.device.type == "cuda"
            return recorded(lambda: run(lm, x, offset)) if graphed else lambda: run(lm, x, offset)
        if self.code == "library":
            return lambda: library_generate(lm, x[:, :1], self.n_tokens)
        decoder = CachedDecoder(lm, self.batch, self.n_tokens)
        return lambda: decoder.generate(x[:, 0])


class StepSpec(SpeedSpec):
    """One optimizer step of the solver: forward, backward and update of all texts at once."""

    kind: Literal["step_time"] = "step_time"

    def call(self, lm: LanguageModel) -> Callable[[], object]:
        from reproducer.solver.cuda_graphs import stepper
        from reproducer.solver.slots import Slots

        problem = random_problem(lm, self.n_tokens)
        slots = Slots.empty(self.batch, problem, RECIPE, lm.device)
        for slot in range(self.batch):
            slots.admit(slot, problem)
        step = stepper(lm, slots)
        return lambda: step(self.batch)


def random_inputs(lm: LanguageModel, batch: int, n_tokens: int) -> tuple[Tensor, int]:
    """Untrained proto-tokens in the model's arrangement, (batch, L, d_model), and its offset."""
    problem = random_problem(lm, n_tokens)
    x = problem.rows[problem.index[0]].to(lm.device, lm.dtype)
    return x.expand(batch, -1, -1).contiguous(), problem.offset


def random_problem(lm: LanguageModel, n_tokens: int) -> Problem:
    """A text of random token ids and its untrained `e` and `m`."""
    import torch

    from reproducer.solver.problem import Problem

    pattern = arrangement(lm.card.arrangement)
    roles = pattern.roles(n_tokens)
    require_positions(lm, len(roles))
    draw = torch.Generator().manual_seed(0)
    return Problem(
        rows=torch.stack([draw_row(lm.d_model, RECIPE, 0, role, "speed") for role in "em"]),
        index=torch.tensor([["em".index(role) for role in roles]]),
        targets=torch.randint(lm.vocab_size, (1, n_tokens), generator=draw),
        offset=pattern.offset,
    )
