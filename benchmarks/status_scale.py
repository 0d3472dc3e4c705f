"""How status, resuming and a frame grow with what a store holds.

`python benchmarks/status_scale.py [--results 1000 10000 100000] [--repeats 3] [--table FILE]`
fills a store with ever more fits and measures at each size, every time in a process of its own:
`reproduce status`; a run of `second_position` (profile `smoke`, 12 fits) of which one is missing;
the frame of that experiment; the frame of an experiment that asks for a hundredth of all that is
stored; and, for comparison, what importing the libraries alone takes that a fit needs. Of each the
least of the repeated times counts, since other work on the machine only adds. Bytecode is compiled
before, as it is after a first use.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from reproducer.results.fits import FitSpec
from reproducer.results.specs import Result, digest
from reproducer.results.store import Store
from reproducer.solver.recipes import recipe
from reproducer.texts.sources import Text

N_TOKENS, WIDTH = 16, 576
BATCH = 1000  # results in one transaction
STATUS = "from reproducer.app.cli import app; app(['status'], standalone_mode=False)"
LOADED = """
import time
from reproducer.experiments.profiles import load_params
from reproducer.experiments.study import run, study, wanted
from reproducer.results.known import Known
from reproducer.results.run import compute
known, params = Known(), load_params("second_position", "smoke")
"""
PARTS = {
    "imports alone": "import torch, transformers; transformers.LlamaForCausalLM",
    "status": STATUS,
    "resume": LOADED
    + """
import sqlite3
store, key = known.store, known.settled(wanted(params, known)[0]).key
connection = sqlite3.connect(store.path)
with connection:
    connection.execute("DELETE FROM results WHERE key = ?", (key,))
connection.close()
begun = time.process_time()
run(params, Known(), progress=False)
print("PART", time.process_time() - begun)
""",
    "frame": LOADED
    + """
begun = time.process_time()
study(params, compute=False, known=known)
print("PART", time.process_time() - begun)
""",
    "frame of a hundredth": LOADED
    + """
import itertools
from reproducer.experiments.base import fit_frame
from reproducer.results.fits import FitSpec
keys = list(itertools.islice(known.store.keys(), len(known.store) // 100))
specs = [FitSpec(**known.store.get(key, arrays=False).spec) for key in keys]
begun = time.process_time()
fit_frame(known.all(specs), params)
print("PART", time.process_time() - begun)
""",
}


def fill(store: Store, first: int, last: int) -> None:
    """Write fits `first` to `last` of `N_TOKENS` random tokens, with arrays as of SmolLM2-135M."""
    text = Text(source="bench", id="bench", tokens=(0,) * N_TOKENS)
    model = {"model": "smollm2-135m", "dtype": "float32", "arrangement": "[e] [m]xN"}
    like = FitSpec(**model, texts=(text,), recipe=recipe("paper")).model_dump(mode="json")
    arrays = {
        "rows": np.zeros((2, WIDTH), np.float32),
        "correct": np.ones((1, N_TOKENS), bool),
        "nats": np.ones((1, N_TOKENS), np.float32),
    }
    metrics = {"accuracy": [1.0], "loss_nats": [1.0], "solved": True, "steps": 9, "seconds": 1.0}
    provenance = {"dtype": "float32", "device": "none", "commit": "none", "date": "none"}
    for begin in range(first, last, BATCH):
        results = []
        for i in range(begin, min(begin + BATCH, last)):
            tokens = np.random.default_rng(i).integers(0, 49152, N_TOKENS).tolist()
            own = {"source": "bench", "id": f"bench-{i}", "tokens": tokens}
            spec = like | {"texts": [own]}
            results.append(Result(digest(spec), spec, metrics, arrays, provenance))
        store.put(*results)


def measured(program: str, folder: str) -> dict[str, float]:
    """CPU seconds of a program, of the part that it times itself, and its memory in MiB."""
    program += "\nimport resource as r; print('RSS', r.getrusage(r.RUSAGE_SELF).ru_maxrss)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {"REPRODUCER_STORE": folder, "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        | {"PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told = dict(line.split() for line in done.stdout.splitlines() if line[:4] in ("PART", "RSS "))
    part = float(told.get("PART", cpu))
    return {"cpu_seconds": cpu, "part_seconds": part, "mib": int(told["RSS"]) / 1024}


def draw(rows: list[dict], path: Path) -> None:
    """CPU seconds, and memory, against the number of stored results, a line for each part."""
    # Imported late: what is measured runs in processes of its own.
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for name, marker in zip(PARTS, "xos^d", strict=True):
        part = [row for row in rows if row["part"] == name]
        sizes = [row["results"] for row in part]
        axes[0].plot(sizes, [row["part_seconds"] for row in part], marker=marker, label=name)
        axes[1].plot(sizes, [row["mib"] for row in part], marker=marker, label=name)
    axes[0].set(xscale="log", yscale="log", xlabel="stored results", ylabel="CPU seconds")
    axes[1].set(xscale="log", ylim=(0, None), xlabel="stored results", ylabel="MiB")
    axes[0].legend()
    drawn.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("growth.csv"))
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store, filled = Store(Path(folder)), 0
        run = "run(params, known, progress=False)"
        for program in (LOADED + run, STATUS):
            measured(program, folder)
        for n_results in sorted(given.results):
            fill(store, filled, n_results)
            filled = n_results
            size = store.path.stat().st_size / 2**20
            store.close()
            for name, program in PARTS.items():
                times = [measured(program, folder) for _ in range(given.repeats)]
                best = min(times, key=lambda time: time["part_seconds"])
                row = {"results": n_results, "part": name, **best}
                print({**row, "file_mib": round(size)}, flush=True)
                rows.append(row)
            with open(given.table, "w", newline="") as file:
                table = csv.DictWriter(file, rows[0])
                table.writeheader()
                table.writerows(rows)
    draw(rows, given.table.with_suffix(".svg"))


if __name__ == "__main__":
    main()
