"""How long `reproduce status` takes, and how much memory, beside a store of many results.

Fills a store in a temporary folder with results of texts that no experiment asks for, then runs the
command in a process of its own: `python benchmarks/status_scale.py [--results 100000]`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from reproducer.results.fits import FitSpec
from reproducer.results.specs import Result
from reproducer.results.store import Store
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text

N_TOKENS, WIDTH = 16, 576
BATCH = 1000  # results in one transaction


def fill(store: Store, n_results: int) -> None:
    """Write fits of `N_TOKENS` random tokens with arrays of the size that SmolLM2-135M has."""
    draw = np.random.default_rng(0)
    nats = np.ones((1, N_TOKENS), np.float32)
    arrays = {
        "rows": np.zeros((2, WIDTH), np.float32),
        "correct": np.ones((1, N_TOKENS), bool),
        "nats": nats,
    }
    metrics = {"accuracy": [1.0], "loss_nats": [1.0], "solved": True, "steps": 9, "seconds": 1.0}
    provenance = {"dtype": "float32", "device": "none", "commit": "none", "date": "none"}
    for first in range(0, n_results, BATCH):
        results = []
        for i in range(first, min(first + BATCH, n_results)):
            tokens = tuple(draw.integers(0, 49152, N_TOKENS).tolist())
            spec = FitSpec(
                model="smollm2-135m",
                dtype="float32",
                arrangement="[e] [m]xN",
                texts=(Text(source="bench", id=f"bench-{i}", tokens=tokens),),
                recipe=recipe("paper"),
            )
            data = spec.model_dump(mode="json")
            results.append(Result(spec.key, data, metrics, arrays, provenance))
        store.put(*results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=100_000)
    n_results = parser.parse_args().results
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        begun = time.monotonic()
        fill(store, n_results)
        size = store.path.stat().st_size / 2**20
        print(f"wrote {len(store)} results in {time.monotonic() - begun:.0f} s, {size:.0f} MiB")
        store.close()
        environment = os.environ | {"REPRODUCER_STORE": folder}
        begun = time.monotonic()
        command = [sys.executable, "-m", "reproducer", "status"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"status: {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, "
            f"{used.ru_maxrss / 1024:.0f} MiB"
        )


if __name__ == "__main__":
    main()
