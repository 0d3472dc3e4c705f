"""Who attends to `e` in a fitted text, as a stored reading (Bondarenko et al., Figs 1–3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from reproducer.results.fits import FitSpec
from reproducer.results.specs import Measurement, Outcome, Result
from reproducer.solver.arrangements import arrangement

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel


class AttentionSpec(Measurement):
    """Attention of a fitted text's inputs to `e`, and of the plain text's to its first token."""

    kind: Literal["attention"] = "attention"
    fit: FitSpec

    @property
    def needs(self) -> tuple[FitSpec]:
        return (self.fit,)

    def run(self, lm: LanguageModel, needed: Sequence[Result]) -> Outcome:
        """Arrays `to_e` (layers, heads, n_inputs), `to_first` (layers, heads, n_tokens), and
        `uniform` (n_inputs,), the share that `e` would get from even attention."""
        import torch

        from reproducer.readings.attention_weights import attention_to, uniform_share

        (fit,) = needed
        problem = self.fit.problem(lm)
        roles = arrangement(self.fit.arrangement).roles(self.fit.n_tokens)
        is_e = torch.tensor([role == "e" for role in roles])
        tokens = torch.tensor([self.fit.texts[0].tokens])
        is_first = torch.arange(self.fit.n_tokens) == 0
        inputs = torch.from_numpy(fit.arrays["rows"])[problem.index[:1]]
        arrays = {
            "to_e": attention_to(lm, inputs, is_e)[0],
            "to_first": attention_to(lm, lm.embed(tokens), is_first)[0],
            "uniform": uniform_share(is_e),
        }
        return Outcome({}, arrays)
