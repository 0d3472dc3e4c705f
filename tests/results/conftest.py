"""A store with two results."""

import pytest

from reproducer.results.store import Store
from tests.results.samples import result


@pytest.fixture
def store(tmp_path):
    """Two results, 0 and 1."""
    store = Store(tmp_path / "own")
    store.put(result(0))
    store.put(result(1))
    return store
