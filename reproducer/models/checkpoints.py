"""Reading checkpoints that others wrote: no code of theirs runs, and no weight is made up.

The library draws at random what a checkpoint lacks and goes on with a warning; a frozen model
whose weights are partly noise would give results without meaning, so it is refused here.
"""

from __future__ import annotations

import torch
import transformers
from torch import nn
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from reproducer.errors import ReproducerError
from reproducer.models.card import ModelCard, loading_errors
from reproducer.models.hub import settle_hub
from reproducer.models.zoo import UNTRAINED_SEED

# A bar for a second of loading would stand between the user's own output.
transformers.utils.logging.disable_progress_bar()

# The library asks on standard input, unless told, whether a checkpoint's own code may run.
NO_CODE = {"trust_remote_code": False}
# Names of broken weights that an error lists.
LISTED = 3


def read_model(place: str, revision: str | None = None) -> nn.Module:
    """The causal language model, float32, in a folder or at a hub name.

    Raises:
        ReproducerError: nothing there, not reachable, not such a model, a damaged file, code of
            its own; weights that are missing, of another shape than the configuration says, or
            not finite. Tied weights need to be there once.
    """
    if revision:
        settle_hub()
    with loading_errors(place):
        # Mismatched weights are let through to be refused by name below.
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            place,
            revision=revision or "main",
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **NO_CODE,
        )
    shapes = [
        f"{name} (expected {tuple(expected)}, got {tuple(got)})"
        for name, got, expected in sorted(report["mismatched_keys"])
    ]
    _refuse(place, "weights of the shapes its configuration says", "others for", shapes)
    _refuse(place, "all weights", "none for", sorted(report["missing_keys"]))
    broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    _refuse(place, "finite weights", "NaN or infinity in", broken)
    return model


def read_config(card: ModelCard) -> PretrainedConfig:
    """The configuration of a model, the zoo's or its checkpoint's; raises as `read_model` does."""
    if card.entry.shape:
        return card.entry.config()
    with loading_errors(card.folder):
        return transformers.AutoConfig.from_pretrained(
            card.folder, revision=card.revision or "main", **NO_CODE
        )


def read_tokenizer(card: ModelCard) -> PreTrainedTokenizerBase:
    """The library's tokenizer of a model; raises as `read_model` does."""
    if card.folder is None:
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=card.tokenizer.core, bos_token="<bos>", eos_token="<eos>"
        )
    with loading_errors(card.folder):
        return transformers.AutoTokenizer.from_pretrained(
            card.folder, revision=card.revision or "main", **NO_CODE
        )


def untrained_model(config: PretrainedConfig, name: str) -> nn.Module:
    """The model of this shape with random weights, float32; `name` is for errors.

    The weights come from one seed and are drawn on the CPU, so that every machine has the same.
    """
    with loading_errors(name), torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, **NO_CODE)


def weightless_model(card: ModelCard) -> nn.Module:
    """The model's modules and the shapes of its weights, without the weights."""
    with loading_errors(card.name), torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(read_config(card), **NO_CODE)


def _refuse(place: str, expected: str, got: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        listed = ", ".join(names[:LISTED])
        raise ReproducerError(f"{place}: expected {expected}, got {got} {listed}{more}")
