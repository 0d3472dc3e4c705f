"""Reading checkpoints that others wrote: no code of theirs runs, and no weight is made up.

The library draws at random what a checkpoint lacks and goes on with a warning; a frozen model
whose weights are partly noise would give results without meaning, so it is refused here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from reproducer.errors import ReproducerError

# The library asks on standard input, unless told, whether a checkpoint's own code may run.
NO_CODE = {"trust_remote_code": False}
# Names of broken weights that an error lists.
LISTED = 3


def read_model(place: str) -> nn.Module:
    """The causal language model, float32, in a folder or at a hub name.

    Raises:
        ReproducerError: nothing there, not reachable, not such a model, a damaged file, code of
            its own; weights that are missing, of another shape than the configuration says, or
            not finite. Tied weights need to be there once.
    """
    with loading_errors(place):
        # Mismatched weights are let through to be refused by name below.
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            place,
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


def read_config(place: str) -> PretrainedConfig:
    """The configuration of a checkpoint; raises as `read_model` does."""
    with loading_errors(place):
        return transformers.AutoConfig.from_pretrained(place, **NO_CODE)


def read_tokenizer(place: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint; raises as `read_model` does."""
    with loading_errors(place):
        return transformers.AutoTokenizer.from_pretrained(place, **NO_CODE)


def untrained_model(config: PretrainedConfig, name: str) -> nn.Module:
    """The model of this shape with random weights, float32; `name` is for errors.

    The weights come from one seed and are drawn on the CPU, so that every machine has the same.
    """
    with loading_errors(name), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32, **NO_CODE)


@contextlib.contextmanager
def loading_errors(place: str) -> Iterator[None]:
    """Tell whatever goes wrong while reading from `place` in one line."""
    try:
        yield
    # A broken checkpoint fails in as many ways as the library has readers: bad JSON, a header of
    # a file cut short, a division by a number of heads that is zero.
    except Exception as error:
        if "trust_remote_code" in str(error):
            reason = f"{place} brings code of its own, which is never run; expected weights alone"
            raise ReproducerError(reason) from error
        if Path(place).is_dir() or not isinstance(error, OSError):
            reason = f"expected a causal language model in {place}"
        else:
            reason = (
                f"cannot load {place!r} from the hub: unreachable, gated or not there "
                "(for a gated model accept its licence and set HF_TOKEN; "
                "smollm2-135m works without the hub)"
            )
        told = " ".join(str(error).split())[:200]
        raise ReproducerError(f"{reason}: {type(error).__name__}: {told}") from error


def _refuse(place: str, expected: str, got: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        listed = ", ".join(names[:LISTED])
        raise ReproducerError(f"{place}: expected {expected}, got {got} {listed}{more}")
