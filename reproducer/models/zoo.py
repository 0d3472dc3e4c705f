"""The models known by name: where their weights come from and what shape they have.

The shapes are facts of the published checkpoints, written down so that a model can be
built with untrained weights (`random:<name>`) where its weights cannot be had: for controls
("is it language or architecture?") and for timing, where weights do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# The model that comes with the project's packages, and what makes another one's weights untrained.
EMBEDDED = "smollm2-135m"
RANDOM_PREFIX = "random:"
# Stands for a model of the hub where the hub is not: its shape with the embedded one's tokenizer.
# It can be planned with, and has no weights.
SHAPE_PREFIX = "shape:"
UNTRAINED_SEED = 0


@dataclass(frozen=True)
class ModelEntry:
    """One model: hub name (None if it does not come from the hub), shape, arrangement, commit.

    `arrangement` is the default for experiments after A1: the papers' `[e] [m]x(N-1)`, except
    where experiment A1 shows that the model cannot predict at its very first position.
    """

    hub: str | None
    shape: dict[str, Any] = field(default_factory=dict)
    arrangement: str = "[e] [m]x(N-1)"
    revision: str | None = None

    def config(self) -> PretrainedConfig:
        """The transformers configuration of this shape."""
        import transformers

        shape = dict(self.shape)
        return transformers.AutoConfig.for_model(shape.pop("model_type"), **shape)


def _llama(hidden: int, inner: int, layers: int, heads: tuple[int, int], **more: Any) -> dict:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        **more,
    }


def _llama3(hidden: int, inner: int, layers: int, heads: tuple[int, int], **more: Any) -> dict:
    factor = more.pop("rope_factor")
    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    common = {"vocab_size": 128256, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5}
    ids = {"bos_token_id": 128000, "eos_token_id": 128001}
    return _llama(hidden, inner, layers, heads, rope_parameters=rope, **common, **ids, **more)


def _pythia(hidden: int, layers: int, heads: int) -> dict:
    return {
        "model_type": "gpt_neox",
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": 50304,
        "max_position_embeddings": 2048,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "tie_word_embeddings": False,
        "use_parallel_residual": True,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.25,
        },
    }


SMOLLM2_SHAPE = _llama(
    576,
    1536,
    30,
    (9, 3),
    vocab_size=49152,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    tie_word_embeddings=True,
    rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    bos_token_id=1,
    eos_token_id=2,
)

TINY_SHAPE = _llama(
    32,
    64,
    2,
    (4, 2),
    vocab_size=258,
    max_position_embeddings=256,
    tie_word_embeddings=True,
    # The usual 0.02 is for width 576 and more; at width 32 it makes every output alike.
    initializer_range=0.2,
    bos_token_id=256,
    eos_token_id=257,
)

# The weights that a short name means, so that everyone's are the same; `name@main` is the newest.
# Each is the commit under which several independent public repositories name or cache the model.
COMMITS = {
    "EleutherAI/pythia-160m": "50f5173d932e8e61f858120bcb800b97af589f46",
    "EleutherAI/pythia-410m": "9879c9b5f8bea9051dcb0e68dff21493d67e9d4f",
    "EleutherAI/pythia-1.4b": "fedc38a16eea3bd36a96b906d78d11d2ce18ed79",
    "meta-llama/Llama-3.2-1B": "4e20de362430cd3b72f300e6b0f18e50e7166e08",
    "meta-llama/Llama-3.2-3B": "13afe5124825b4f3751f836b40dafda64c1ed062",
    "meta-llama/Llama-3.1-8B": "d04e592bb4f6aa9cfee91e2e20afa771667e1d4b",
}


def _of_hub(name: str, shape: dict[str, Any]) -> ModelEntry:
    return ModelEntry(name, shape, revision=COMMITS[name])


MODELS: dict[str, ModelEntry] = {
    "smollm2-135m": ModelEntry(None, SMOLLM2_SHAPE, arrangement="[e] [m]xN"),
    "pythia-160m": _of_hub("EleutherAI/pythia-160m", _pythia(768, 12, 12)),
    "pythia-410m": _of_hub("EleutherAI/pythia-410m", _pythia(1024, 24, 16)),
    "pythia-1.4b": _of_hub("EleutherAI/pythia-1.4b", _pythia(2048, 24, 16)),
    "llama-3.2-1b": _of_hub(
        "meta-llama/Llama-3.2-1B",
        _llama3(2048, 8192, 16, (32, 8), rope_factor=32.0, tie_word_embeddings=True),
    ),
    "llama-3.2-3b": _of_hub(
        "meta-llama/Llama-3.2-3B",
        _llama3(3072, 8192, 28, (24, 8), rope_factor=32.0, tie_word_embeddings=True),
    ),
    "llama-3.1-8b": _of_hub(
        "meta-llama/Llama-3.1-8B",
        _llama3(4096, 14336, 32, (32, 8), rope_factor=8.0, tie_word_embeddings=False),
    ),
    "tiny": ModelEntry(None, TINY_SHAPE, arrangement="[e] [m]xN"),
}
