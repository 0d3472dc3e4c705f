"""What plans and prints tables loads neither PyTorch nor anything that takes seconds."""

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "nltk", "sklearn", "statsmodels", "matplotlib", "wordfreq")
PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


def loaded_by(module: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, module, *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    "module",
    [
        "reproducer",
        "reproducer.solver.recipes",
        "reproducer.results.known",
        "reproducer.experiments.ledger",
        "reproducer.app.cli",
        "reproducer.app.expected",
        "reproducer.app.fit_text",
    ],
)
def test_is_light(module):
    assert loaded_by(module) == []


def test_the_check_can_fail():
    assert "torch" in loaded_by("reproducer.solver.problem")


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]
)
def test_threads_wait_without_spinning_unless_told_otherwise(given, expected):
    program = "import reproducer, os; print(os.environ['OMP_WAIT_POLICY'])"
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == expected
