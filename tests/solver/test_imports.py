"""Recipes and arrangements are names and numbers: reading them loads no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import reproducer

# The package's own public list imports everything, so an empty package stands in for it.
PROGRAM = """
import importlib, sys, types
package = types.ModuleType("reproducer")
package.__path__ = [sys.argv[1]]
sys.modules["reproducer"] = package
importlib.import_module(sys.argv[2])
sys.exit("torch" in sys.modules)
"""


def loads_torch(module: str) -> bool:
    command = [sys.executable, "-c", PROGRAM, str(Path(reproducer.__file__).parent), module]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return bool(done.returncode)


@pytest.mark.parametrize("name", ["recipes", "arrangements"])
def test_no_torch(name):
    assert not loads_torch(f"reproducer.solver.{name}")


def test_the_check_can_fail():
    assert loads_torch("reproducer.solver.problem")
