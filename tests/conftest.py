"""Shared fixtures: a tiny model, and a store and cache that belong to the test."""

from __future__ import annotations

import os

import pytest
import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from reproducer.models.card import model_card
from reproducer.models.language_model import LanguageModel, load_lm


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """No test reads or writes the user's results."""
    monkeypatch.setenv("REPRODUCER_STORE", str(tmp_path / "store"))
    model_card.cache_clear()  # another test may have replaced a model's folder
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny() -> LanguageModel:
    """The random-weight Llama, solving in float32."""
    return load_lm("tiny", device="cpu", dtype="float32")


@pytest.fixture
def nan_lm() -> LanguageModel:
    """The same with one weight that is no number, as no file can bring it in."""
    lm = load_lm("tiny", device="cpu", dtype="float32")
    lm.hf.get_parameter("model.layers.0.mlp.up_proj.weight").view(-1)[7] = torch.nan
    return lm
