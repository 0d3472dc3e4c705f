"""One text of the user's: fit it from several starts, show what came back."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text as RichText

from reproducer.app.spans import Span, spans
from reproducer.errors import ReproducerError, shown
from reproducer.models.card import model_card
from reproducer.results.fits import FitSpec
from reproducer.results.known import Known
from reproducer.results.solutions import accuracies
from reproducer.results.specs import Result, Spec
from reproducer.results.warm_starts import has_warm_start
from reproducer.solver.arrangements import arrangement as arrangement_called
from reproducer.solver.recipes import RECIPES, recipe
from reproducer.texts.sources import Text

if TYPE_CHECKING:
    from reproducer.models.language_model import LanguageModel

log = logging.getLogger(__name__)
MOST = {"tokens": 1_000_000, "steps": 1_000_000, "seeds": 1000}


@dataclass(frozen=True)
class FittedText:
    """The best of several fits of one text.

    `spans` are the parts of the text that came back right and wrong, `reconstructed` is all that
    came, and `n_seeds` is how many starts were tried.
    """

    result: Result
    spans: list[Span]
    reconstructed: str
    n_seeds: int

    def summary(self) -> dict[str, Any]:
        """What `reproduce text --json` prints."""
        spec, metrics = self.result.spec, self.result.metrics
        return {
            "model": spec["model"],
            "arrangement": spec["arrangement"],
            "recipe": spec["recipe"]["name"],
            "n_tokens": len(spec["texts"][0]["tokens"]),
            "accuracy": metrics["accuracy"][0],
            "reconstructed": self.reconstructed,
            "spans": [span._asdict() for span in self.spans],
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

    Of a text with fewer tokens, all are fitted, and a warning says so. The first start that is
    solved ends the search. Without a recipe named, it is `fast` where the model has the warm start
    that `fast` needs, else `paper`.

    Raises:
        ReproducerError: an empty text, a length, budget or number of seeds below 1, more inputs
            than the model has positions, an unknown name.
    """
    for name, value in (("tokens", n_tokens), ("steps", max_steps), ("seeds", n_seeds)):
        if value < 1:
            raise ReproducerError(f"expected {name} of at least 1, got {shown(value)}")
        if value > MOST[name]:
            raise ReproducerError(f"expected at most {MOST[name]} {name}, got {shown(value)}")
    card = model_card(model)
    chosen = recipe(recipe_name or default_recipe(model), max_steps=max_steps)
    pattern = arrangement_called(arrangement or card.arrangement)
    tokens = card.tokenizer.encode(text)
    if not tokens:
        raise ReproducerError("expected a text of at least one token, got an empty one")
    if len(tokens) < n_tokens:
        log.warning("the text has %d tokens: fitting these, not %d", len(tokens), n_tokens)
        n_tokens = len(tokens)
    n_inputs = pattern.n_inputs(n_tokens)
    if n_inputs > card.max_positions:
        raise ReproducerError(
            f"model {model!r}: expected at most its {card.max_positions} positions, got {n_inputs}"
        )
    wanted = Text(source="own", id="own", tokens=tokens[:n_tokens])
    specs = [
        FitSpec(model=model, arrangement=pattern.name, texts=(wanted,), seed=s, recipe=chosen)
        for s in range(n_seeds)
    ]
    # Imported late: PyTorch takes seconds, and bad input is told before.
    from reproducer.results.run import cached_lm

    best = _best(_results(specs, progress))
    if best.metrics["loss_nats"][0] is None:
        raise ReproducerError(
            f"no start of {n_seeds} gave a finite loss on {model!r} with the recipe "
            f"{chosen.name!r}: fit {best.key[:12]} failed at step {best.metrics['failed_at']}"
        )
    came = reconstruct(cached_lm(model), best)
    decode = card.tokenizer.decode
    return FittedText(
        result=best,
        spans=spans(wanted.tokens, came, decode, text),
        reconstructed=decode(came),
        n_seeds=n_seeds,
    )


def default_recipe(model: str) -> str:
    """`fast` for models that it can start, else `paper`."""
    return "fast" if has_warm_start(RECIPES["fast"].warm_m, model) else "paper"


def _results(specs: Sequence[Spec], progress: bool) -> Iterator[Result]:
    """The known results of `specs`, then the others as they are finished."""
    from reproducer.results.run import computing

    known = Known()
    yield from known.all(specs)
    yield from computing(specs, known, progress)


def _best(results: Iterable[Result]) -> Result:
    """The most accurate of the results; one that is solved ends the search."""
    seen = []
    for result in results:
        seen.append(result)
        if result.metrics["solved"]:
            break
    return max(seen, key=_rank)


def _rank(result: Result) -> tuple[float, float]:
    loss = result.metrics["loss_nats"][0]
    return accuracies(result)[0], -math.inf if loss is None else -loss


def reconstruct(lm: LanguageModel, result: Result) -> list[int]:
    """The tokens that the stored proto-tokens of a single-text fit give, in one pass, float32."""
    import torch

    problem = FitSpec(**result.spec).problem(lm)
    rows = torch.from_numpy(result.arrays["rows"]).to(lm.device)
    with torch.no_grad():
        logits = lm.logits(rows[problem.index.to(lm.device)])
    return logits[0, problem.offset :].argmax(-1).tolist()


def coloured(parts: Sequence[Span]) -> RichText:
    """What came back, for the terminal: wrong parts in red and in brackets."""
    shown = RichText()
    for span in parts:
        if span.right:
            shown.append(span.came, style="green")
        else:
            shown.append(f"[{span.came} ≠ {span.wanted}]", style="bold red")
    return shown


def marked(fitted: FittedText, command_seconds: float) -> RichText:
    """A few lines for the terminal: what came back, wrong parts in red and in brackets.

    `command_seconds`: how long the whole command has taken, which is more than the fit.
    """
    facts = fitted.summary()
    shown = coloured(fitted.spans)
    right = round(facts["accuracy"] * facts["n_tokens"])
    share = f", its share of {fitted.n_seeds} starts side by side" if fitted.n_seeds > 1 else ""
    shown.append(
        f"\n{right} of {facts['n_tokens']} tokens came back in one forward pass "
        f"(accuracy {facts['accuracy']:.3f}; {facts['model']}, {facts['arrangement']}, recipe "
        f"{facts['recipe']}, seed {facts['seed']}, {facts['steps']} steps)\n"
        f"the fit: {facts['seconds']:.1f} s{share}; this command: {command_seconds:.1f} s"
    )
    return shown
