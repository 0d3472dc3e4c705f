"""What prints tables loads nothing that takes seconds, and takes none itself."""

import subprocess
import sys

import pytest

from reproducer.experiments import SHIPPED
from reproducer.experiments.ledger import ledger
from reproducer.models.smollm2 import smollm2_folder

PROGRAM = """
import sys

for module in ("experiments.ledger", "app.status"):
    __import__(f"reproducer.{module}", fromlist=["x"]).EXPERIMENTS = ("arrangements",)
sys.argv = ["reproduce", *sys.argv[1:]]
from reproducer.app.cli import main
try:
    main()
finally:
    heavy = ("torch", "transformers", "nltk", "sklearn", "matplotlib", "sentence_transformers")
    print(*(name for name in heavy if name in sys.modules), file=sys.stderr)
"""
CPU_SECONDS = """
import resource, sys

sys.argv = ["reproduce", *sys.argv[1:]]
from reproducer.app.cli import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_utime, file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def converted():
    """The first use of the embedded model converts it, with PyTorch."""
    smollm2_folder()


@pytest.mark.parametrize("words", [["--help"], ["status"], ["claims"], ["run", "--help"]])
def test_tables_load_nothing_heavy(words):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout and done.stderr.split() == []


@pytest.mark.parametrize(("words", "most"), [("--help", 2), ("claims", 6), ("status", 6)])
def test_cpu_seconds(words, most):
    """About ten and three times what they take: a slow machine may, an import of PyTorch not."""
    ledger(SHIPPED)  # after a change of the claims' code it is worked out once, and kept
    command = [sys.executable, "-c", CPU_SECONDS, words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and float(done.stderr.split()[-1]) < most


def test_help_loads_only_what_help_needs():
    program = "import sys, reproducer.app.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not {"pandas", "pydantic", "numpy", "yaml"} & set(done.stdout.split())
