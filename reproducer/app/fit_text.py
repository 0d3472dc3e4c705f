"""One text of the user's: fit it from several starts, show what came back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from rich.text import Text as RichText
from torch import Tensor

from reproducer.errors import ReproducerError
from reproducer.models.language_model import LanguageModel
from reproducer.results.run import cached_lm, results
from reproducer.results.specs import FitSpec, require_positions
from reproducer.results.store import Result
from reproducer.results.warm_starts import has_warm_start
from reproducer.solver.arrangements import arrangement as find_arrangement
from reproducer.solver.recipes import RECIPES, recipe
from reproducer.texts.sources import Text, tokenize


@dataclass(frozen=True)
class FittedText:
    """The best of several fits of one text. `wanted` and `came` are token strings."""

    result: Result
    wanted: list[str]
    came: list[str]
    reconstructed: str

    def summary(self) -> dict[str, Any]:
        """What `reproduce text --json` prints."""
        spec, metrics = self.result.spec, self.result.metrics
        return {
            "model": spec["model"],
            "arrangement": spec["arrangement"],
            "recipe": spec["recipe"]["name"],
            "n_tokens": len(self.wanted),
            "accuracy": metrics["accuracy"][0],
            "reconstructed": self.reconstructed,
            "seed": spec["seed"],
            "steps": metrics["steps"],
            "seconds": metrics["seconds"],
        }


def fit_text(
    text: str,
    *,
    n_tokens: int,
    model: str = "smollm2-135m",
    arrangement: str | None = None,
    recipe_name: str | None = None,
    max_steps: int = 1000,
    n_seeds: int = 4,
    progress: bool = True,
) -> FittedText:
    """Fit the first `n_tokens` tokens of `text` from `n_seeds` starts in one batch.

    The first start that is solved ends the search. Without a recipe named, it is `fast` where the
    model has the warm start that `fast` needs, else `paper`.

    Raises:
        ReproducerError: a text shorter than `n_tokens`, a length, budget or number of seeds
            below 1, more inputs than the model has positions, an unknown name.
    """
    for name, value in (("tokens", n_tokens), ("steps", max_steps), ("seeds", n_seeds)):
        if value < 1:
            raise ReproducerError(f"expected {name} of at least 1, got {value}")
    chosen = recipe(recipe_name or default_recipe(model), max_steps=max_steps)
    if arrangement:
        find_arrangement(arrangement)
    lm = cached_lm(model)
    pattern = find_arrangement(arrangement or lm.card.arrangement)
    require_positions(lm, pattern.n_inputs(n_tokens))
    tokens = tokenize(lm, text)
    if len(tokens) < n_tokens:
        raise ReproducerError(f"expected a text of {n_tokens} or more tokens, got {len(tokens)}")
    wanted = Text(source="own", id="own", tokens=tokens[:n_tokens])
    specs = [
        FitSpec(model=model, arrangement=pattern.name, texts=(wanted,), seed=s, recipe=chosen)
        for s in range(n_seeds)
    ]
    best = _best(results(specs, progress=progress))
    came = reconstruct(lm, best)
    decode = lm.tokenizer.decode
    return FittedText(
        result=best,
        wanted=[decode([t]) for t in wanted.tokens],
        came=[decode([t]) for t in came],
        reconstructed=decode(came),
    )


def default_recipe(model: str) -> str:
    """`fast` for models that it can start, else `paper`."""
    return "fast" if has_warm_start(RECIPES["fast"].warm_m, model) else "paper"


def _best(found: Iterable[Result]) -> Result:
    """The best of the results; one that is solved ends the search."""
    seen = []
    for result in found:
        seen.append(result)
        if result.metrics["solved"]:
            break
    return max(seen, key=lambda r: (r.metrics["accuracy"][0], -r.metrics["loss_nats"][0]))


@torch.no_grad()
def reconstruct(lm: LanguageModel, result: Result) -> list[int]:
    """The tokens that the stored proto-tokens of a single-text fit give, in one pass, float32."""
    spec = FitSpec(**result.spec)
    problem = spec.problem(lm)
    rows: Tensor = result.arrays["rows"].to(lm.device)
    logits = lm.logits(rows[problem.index.to(lm.device)])
    return logits[0, problem.offset :].argmax(-1).tolist()


def marked(fitted: FittedText) -> RichText:
    """A few lines for the terminal: what came back, wrong tokens in red and in brackets."""
    facts = fitted.summary()
    shown = RichText()
    for wanted, came in zip(fitted.wanted, fitted.came, strict=True):
        if wanted == came:
            shown.append(came, style="green")
        else:
            shown.append(f"[{came} ≠ {wanted}]", style="bold red")
    right = round(facts["accuracy"] * facts["n_tokens"])
    shown.append(
        f"\n{right} of {facts['n_tokens']} tokens came back in one forward pass "
        f"(accuracy {facts['accuracy']:.3f}; {facts['model']}, {facts['arrangement']}, recipe "
        f"{facts['recipe']}, seed {facts['seed']}, {facts['steps']} steps, "
        f"{facts['seconds']:.1f} s)"
    )
    return shown
