"""What splitting a batch over the CPU's threads gains over splitting every operation.

    python benchmarks/split.py 8x56 16x60 64x8 256x4     # tokens x texts

Both alternate in one process; printed are text-steps a second, median of three, and their ratio.
"""

from __future__ import annotations

import statistics
import sys
import time

from reproducer.app.bench import bench_specs
from reproducer.decoder.parallel import n_workers
from reproducer.models.language_model import LanguageModel, load_lm
from reproducer.solver import slots as slots_module
from reproducer.solver.cuda_graphs import stepper
from reproducer.solver.recipes import recipe
from reproducer.solver.slots import Slots

SECONDS, REPEATS = 1.5, 3


def full_slots(lm: LanguageModel, n_tokens: int, n_texts: int) -> Slots:
    """Slots with `n_texts` fresh problems."""
    problems = [spec.problem(lm) for spec in bench_specs(lm, n_tokens, n_texts)]
    made = Slots.empty(n_texts, problems[0], recipe("paper"), lm.device)
    for slot, problem in enumerate(problems):
        made.admit(slot, problem)
    return made


def speed(slots: Slots, lm: LanguageModel, workers: int) -> float:
    """Text-steps a second with the batch in `workers` parts."""
    slots_module.n_workers = lambda device, n_inputs: workers
    step, n_texts = stepper(lm, slots), slots.rows.shape[0]
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        step(n_texts)
        steps += 1
    return steps * n_texts / (time.perf_counter() - started)


def main() -> None:
    lm = load_lm("smollm2-135m", device="cpu")
    threads = n_workers(lm.device, 1 << 30)
    for shape in sys.argv[1:] or ["8x56", "16x60", "64x8", "256x4"]:
        n_tokens, n_texts = map(int, shape.split("x"))
        slots = full_slots(lm, n_tokens, n_texts)
        for workers in (1, threads):
            speed(slots, lm, workers)  # warm-up
        pairs = [(speed(slots, lm, 1), speed(slots, lm, threads)) for _ in range(REPEATS)]
        operations, batch = (statistics.median(each) for each in zip(*pairs, strict=True))
        ratio = statistics.median(b / o for o, b in pairs)
        print(f"{shape}: operations {operations:.2f}, batch {batch:.2f}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
