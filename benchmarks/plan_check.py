"""Is the plan true? Plan an experiment, run it, and compare processor seconds.

    python benchmarks/plan_check.py [EXPERIMENT] [-p NAME=VALUE ...]

Everything happens in an empty store without shipped results, on one thread, in processor seconds
of this process, so that other work on the machine does not count. A pilot of two texts is computed
first: the plan of the whole takes from it how soon comparable fits end. Loading the model is in
neither number. The ratio that is printed, measured ÷ expected, should lie within 1.5.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

PILOT_TEXTS = 2
DEFAULTS = {"n_texts": 6, "lengths": [4], "max_steps": 120}


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["REPRODUCER_STORE"] = str(Path(scratch) / "store")
        os.environ["REPRODUCER_SHIPPED"] = str(Path(scratch) / "nothing")
        name = next((a for a in arguments if "=" not in a and a != "-p"), "second_position")
        changes = [a.split("=", 1) for a in arguments if "=" in a]
        for line in check(name, changes):
            print(line, flush=True)


def check(name: str, changes: list[list[str]]):
    """Lines that say what was planned, what was measured, and their ratio."""
    import torch

    from reproducer.app.plan import plan
    from reproducer.experiments.profiles import SHIPPED, load_params
    from reproducer.experiments.study import run
    from reproducer.results.known import Known

    torch.set_num_threads(1)
    params = load_params(name, SHIPPED, **DEFAULTS | dict(changes))
    run(params.model_copy(update={"n_texts": PILOT_TEXTS}), Known(), progress=False)
    before = {result.key for result in Known().facts()}
    rows, _ = plan({name: params}, clock=time.process_time)
    (row,) = rows
    yield (
        f"{name}, {params.n_texts} texts, {row.model} in {row.dtype}: {row.missing} fits to do, "
        f"{row.stored} stored; {row.compared} have comparable ones"
    )
    yield (
        f"planned: {row.expected.totals.token_steps:.0f} token-steps and "
        f"{3600 * row.expected.hours:.1f} s expected; "
        f"{row.at_most.totals.token_steps:.0f} and {3600 * row.at_most.hours:.1f} s at most"
    )
    started = time.process_time()
    run(params, Known(), progress=False)
    measured = time.process_time() - started
    steps = sum(
        positions * result.metrics["steps"]
        for result in Known().facts()
        if result.key not in before and (positions := _positions(result.spec))
    )
    yield f"measured: {steps} token-steps in {measured:.1f} s"
    yield (
        f"measured ÷ expected: seconds {measured / (3600 * row.expected.hours):.2f}, token-steps "
        f"{steps / row.expected.totals.token_steps:.2f}; seconds of a token-step "
        f"{measured / steps / (3600 * row.expected.hours / row.expected.totals.token_steps):.2f}"
    )
    yield f"measured ÷ at most: seconds {measured / (3600 * row.at_most.hours):.2f}"


def _positions(spec: dict) -> int:
    """Input positions of a fit over all its sequences; 0 for another kind of result."""
    from reproducer.results.fits import FitSpec

    return FitSpec(**spec).size.positions if spec["kind"] == "fit" else 0


if __name__ == "__main__":
    main(sys.argv[1:])
