"""What can be known to fail before any work: models by name, and texts too long for them.

A plan raises for unknown names and for texts that a source lacks, but it sees only what comes
first: fits of texts that are still to be sampled, and what is written after fits, stand in none.
So lengths are held against the model's positions here, from the parameters alone.
"""

from __future__ import annotations

from reproducer.errors import ReproducerError
from reproducer.experiments.profiles import ExperimentParams
from reproducer.experiments.trials import CONTEXT_TOKENS, GENERATED, N_MEM
from reproducer.models.card import model_card
from reproducer.solver.arrangements import arrangement
from reproducer.texts.teachers import TEACHERS


def check(params: ExperimentParams) -> None:
    """Raise on parameters that would fail only after work was done.

    Raises:
        ReproducerError: an unknown model, more input positions than a model has, an anchor that
            is wider than a model.
    """
    for number, model in enumerate(models_of(params)):
        card, n_inputs = model_card(model), longest_input(params, number)
        if n_inputs > card.max_positions:
            raise ReproducerError(
                f"{params.experiment!r} on {model!r}: expected lengths that need at most its "
                f"{card.max_positions} positions, got {n_inputs}"
            )
        if params.experiment == "anchoring":
            TEACHERS[params.teacher].require_narrow(card.d_model)


def models_of(params: ExperimentParams) -> list[str]:
    """The models that an experiment runs on."""
    own = () if "model" in params.UNUSED else (params.model,)
    return [*(getattr(params, "models", ()) or own), *getattr(params, "controls", ())]


def longest_input(params: ExperimentParams, number: int = 0) -> int:
    """The most positions that anything of an experiment takes in the model of that number."""
    n_tokens = _longest_text(params, number)
    needed = [n_tokens + _offset(params, models_of(params)[number])]
    if hasattr(params, "firsts"):  # vectors, the first token where it is BOS, and the text
        needed.append(max(N_MEM.values()) + n_tokens - ("bos" not in params.firsts))
    if hasattr(params, "n_continuations"):  # BOS, the context, and what is written
        needed.append(1 + params.context_tokens + n_tokens)
    sources = getattr(params, "sources", ()) or (params.source,)
    if any(source.startswith(GENERATED) for source in sources):
        needed.append(1 + CONTEXT_TOKENS + n_tokens)
    if hasattr(params, "n_new_tokens"):  # BOS, the text as a control, and what is written
        needed.append(1 + n_tokens + params.n_new_tokens)
    return max(needed)


def _longest_text(params: ExperimentParams, number: int) -> int:
    if params.experiment == "throughput":  # a length for each model
        return params.lengths[number] if params.lengths else 1
    lengths = getattr(params, "grid", None) or getattr(params, "lengths", ())
    return max([getattr(params, "n_tokens", 1), *(n for n in lengths if n is not None)])


def _offset(params: ExperimentParams, model: str) -> int:
    """The most inputs before the first that predicts, over the arrangements asked for."""
    asked = getattr(params, "arrangements", None) or [getattr(params, "arrangement", None)]
    return max(arrangement(name or model_card(model).arrangement).offset for name in asked)
