"""Commands that walk over all experiments walk over one here; plans without the clock."""

import pytest

from reproducer.app import plan as plan_module
from reproducer.results.packs import packs
from reproducer.solver.calibrate import Speed


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


@pytest.fixture
def nothing_shipped(monkeypatch, tmp_path):
    monkeypatch.setenv("REPRODUCER_SHIPPED", str(tmp_path / "packs"))
    packs.cache_clear()
    yield
    packs.cache_clear()


@pytest.fixture
def a_thousandth(monkeypatch, nothing_shipped):
    """Calibration that finds 1 ms for a pass and 1 ns for a FLOP."""
    monkeypatch.setattr(plan_module, "speed_of", lambda *arguments: Speed(1e-3, 1e-9))
