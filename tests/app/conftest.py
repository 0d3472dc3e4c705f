"""Commands that walk over all experiments walk over one here."""

import pytest

from reproducer.results.packs import packs


@pytest.fixture
def one_experiment(monkeypatch, tmp_path):
    """Only `arrangements`, and no shipped results."""
    for module in ("experiments.ledger", "app.status", "app.effort"):
        monkeypatch.setattr(f"reproducer.{module}.EXPERIMENTS", ("arrangements",))
    monkeypatch.setenv("REPRODUCER_SHIPPED", str(tmp_path / "packs"))
    monkeypatch.setenv("REPRODUCER_CACHE", str(tmp_path / "cache"))
    packs.cache_clear()
    yield tmp_path / "packs"
    packs.cache_clear()
