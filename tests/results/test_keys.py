"""Keys are the same on every machine, and stay what they were.

`keys.json` holds, for each profile and experiment, the digest of the keys that the experiment asks
for where nothing is known yet. A change there makes every stored result of that experiment
useless: `python -m tests.results.test_keys` writes the list anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from reproducer.experiments import EXPERIMENTS, experiment
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import wanted
from reproducer.paths import ROOT
from reproducer.results.known import Known
from reproducer.results.packs import Packs
from reproducer.results.store import Store

LIST = Path(__file__).with_name("keys.json")
# Those that need no hub.
OFFLINE = ("smoke", "quick", "smollm2", "smollm2-gpu")
MACHINES = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "other instructions": {
        "OMP_NUM_THREADS": "1",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX",
    },
}


def digests() -> dict[str, dict[str, str]]:
    """Profile → experiment → digest of the sorted keys of its specs."""
    with tempfile.TemporaryDirectory() as empty:
        known = Known(Store(Path(empty)), Packs(Path(empty)))
        return {
            profile: {name: _digest(name, profile, known) for name in _experiments()}
            for profile in OFFLINE
        }


def _experiments() -> list[str]:
    """Those whose module can be loaded."""
    names = []
    for name in EXPERIMENTS:
        try:
            experiment(name)
        except ImportError:
            continue
        names.append(name)
    return names


def _digest(name: str, profile: str, known: Known) -> str:
    keys = sorted(spec.key for spec in wanted(load_params(name, profile), known))
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
def test_keys_are_the_listed_ones_on_every_machine(machine):
    command = [sys.executable, "-W", "ignore", "-m", "tests.results.test_keys", "--print"]
    environment = os.environ | MACHINES[machine]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, listed = json.loads(done.stdout), json.loads(LIST.read_text())
    changed = [
        f"{profile}/{name}"
        for profile in OFFLINE
        for name in ours[profile]
        if ours[profile][name] != listed.get(profile, {}).get(name)
    ]
    assert changed == []


def test_the_list_has_every_experiment_once():
    listed = json.loads(LIST.read_text())
    assert set(listed) == set(OFFLINE)
    absent = sorted(set(EXPERIMENTS) - set(_experiments()))
    for entries in listed.values():
        assert set(entries) == set(EXPERIMENTS) - set(absent)
    if absent:
        pytest.skip(f"not to be loaded: {', '.join(absent)}")


if __name__ == "__main__":
    text = json.dumps(digests(), indent=1) + "\n"
    sys.stdout.write(text) if "--print" in sys.argv else LIST.write_text(text)
