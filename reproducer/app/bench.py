"""`reproduce bench`: the solver against the obvious loop, alternately in one process.

The obvious loop is `benchmarks/obvious.py`. Both fit the same texts from the same starts with
the papers' recipe, cut to a fixed number of steps; each timing covers everything a fit does
(the solver's checks, refilling and float32 measurement included). A speed is a ratio measured
within one run, its median and its range over repeats.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from reproducer.errors import ReproducerError, shown
from reproducer.models.card import ModelCard, model_card
from reproducer.models.language_model import LanguageModel
from reproducer.models.peak import PeakMemory, matmul_flops_per_input, matmul_peak_flops
from reproducer.paths import ROOT
from reproducer.results.fits import FitSpec
from reproducer.results.provenance import device_name
from reproducer.solver.arrangements import arrangement
from reproducer.solver.memory import batch_inputs, batch_problems
from reproducer.solver.recipes import CHECK_EVERY, recipe
from reproducer.solver.solve import solve
from reproducer.texts.sources import Text

LENGTHS = (8, 16, 64, 256)
MOST_REPEATS = 1000
OBVIOUS_STEPS = 5
SOLVER_STEPS = CHECK_EVERY  # the final measurement weighs a tenth


def bench(lm: LanguageModel, lengths: tuple[int, ...] = LENGTHS, repeats: int = 3) -> dict:
    """Time both at each length.

    Returns:
        `device`, `model`, `dtype`, `peak_flops` (measured matrix-product peak in the solving
        dtype, FLOP/s) and `rows`, one a length: text-steps a second of both, their `ratio` (with
        `ratio_low`, `ratio_high`), `peak_share`, and peak working memory in bytes (weights
        excluded; None where it cannot be measured).
    """
    require_lengths(lm.card, lengths, repeats)
    peak = matmul_peak_flops(lm.device, lm.dtype)
    return {
        "device": device_name(lm.device),
        "model": lm.name,
        "dtype": str(lm.dtype).removeprefix("torch."),
        "peak_flops": peak,
        "rows": [_row(lm, n_tokens, repeats, peak) for n_tokens in lengths],
    }


def _row(lm: LanguageModel, n_tokens: int, repeats: int, peak: float) -> dict[str, Any]:
    n_inputs = arrangement(lm.card.arrangement).n_inputs(n_tokens)
    # As many texts as fill a batch.
    specs = bench_specs(lm, n_tokens, batch_problems(n_inputs, batch_inputs(lm), lm.device))
    first = specs[0].problem(lm)
    obvious = _obvious_module()

    def run_obvious() -> float:
        parts = first.rows, first.index[0], first.targets[0]
        on_device = [part.to(lm.device) for part in parts]
        obvious.obvious_fit(lm.hf, *on_device, first.offset, OBVIOUS_STEPS)
        return OBVIOUS_STEPS

    def run_solver() -> float:
        problems = [spec.problem(lm) for spec in specs]
        chosen = recipe("paper", max_steps=SOLVER_STEPS)
        return sum(solution.steps for _, solution in solve(lm, problems, chosen))

    memory = [_peak_bytes(run, lm) for run in (run_obvious, run_solver)]  # warm-up as well
    speeds = [(_speed(run_obvious, lm), _speed(run_solver, lm)) for _ in range(repeats)]
    ratios = [ours / theirs for theirs, ours in speeds]
    solver_speed = statistics.median(ours for _, ours in speeds)
    flops = matmul_flops_per_input(lm.hf) * first.index.shape[1] * solver_speed
    return {
        "n_tokens": n_tokens,
        "n_texts": len(specs),
        "obvious_text_steps_per_s": statistics.median(theirs for theirs, _ in speeds),
        "solver_text_steps_per_s": solver_speed,
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "peak_share": flops / peak,
        "obvious_peak_bytes": memory[0],
        "solver_peak_bytes": memory[1],
    }


def bench_specs(lm: LanguageModel, n_tokens: int, n_texts: int) -> list[FitSpec]:
    """Fits of `n_texts` texts. What a token is does not matter for time: random ids."""
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, lm.vocab_size, (n_texts, n_tokens), generator=draw).tolist()
    return [
        FitSpec(
            model=lm.name,
            arrangement=lm.card.arrangement,
            texts=(Text(source="bench", id=f"bench-{i}", tokens=tuple(tokens)),),
            recipe=recipe("paper"),
        )
        for i, tokens in enumerate(ids)
    ]


def _speed(run: Callable[[], float], lm: LanguageModel) -> float:
    started = time.perf_counter()
    text_steps = run()
    if lm.device.type == "cuda":
        torch.cuda.synchronize(lm.device)
    return text_steps / (time.perf_counter() - started)


def _peak_bytes(run: Callable[[], float], lm: LanguageModel) -> int | None:
    # Decoders are made on first use: they are weights, not working memory.
    lm.decoder(), lm.decoder(torch.float32)
    with PeakMemory(lm.device) as peak:
        run()
    return peak.bytes


def _obvious_module() -> ModuleType:
    path = ROOT / "benchmarks" / "obvious.py"
    if not path.exists():
        raise ReproducerError(f"expected {path}: `reproduce bench` runs in a checkout")
    spec = importlib.util.spec_from_file_location("obvious", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lengths_of(tokens: str, model: str, repeats: int) -> tuple[int, ...]:
    """Lengths from comma-separated text, checked before the model is loaded."""
    try:
        lengths = tuple(int(part) for part in tokens.split(","))
    except ValueError as error:
        raise ReproducerError(f"expected lengths such as 8,16, got {shown(tokens)}") from error
    require_lengths(model_card(model), lengths, repeats)
    return lengths


def require_lengths(card: ModelCard, lengths: tuple[int, ...], repeats: int) -> None:
    """Raise if something below 1 is asked for, or a length that the model has no positions for."""
    if not 1 <= repeats <= MOST_REPEATS or not lengths or min(lengths) < 1:
        raise ReproducerError(
            f"expected lengths of at least 1 and 1 to {MOST_REPEATS} repeats, got "
            f"{shown(lengths)} and {shown(repeats)}"
        )
    longest = arrangement(card.arrangement).n_inputs(max(lengths))
    if longest > card.max_positions:
        raise ReproducerError(
            f"model {card.name!r}: expected at most its {card.max_positions} positions, "
            f"got {shown(longest)}"
        )


def table_rows(timed: dict[str, Any]) -> list[list[str]]:
    """What `bench` returned, as the rows of a table for the terminal."""
    return [_cells(row) for row in timed["rows"]]


def _cells(row: dict[str, Any]) -> list[str]:
    memory = [row[f"{who}_peak_bytes"] for who in ("obvious", "solver")]
    sizes = ["not measured" if b is None else f"{b / 2**20:.0f} MiB" for b in memory]
    return [
        str(row["n_tokens"]),
        str(row["n_texts"]),
        f"{row['obvious_text_steps_per_s']:.2f}",
        f"{row['solver_text_steps_per_s']:.1f}",
        f"{row['ratio']:.2f}× ({row['ratio_low']:.2f} … {row['ratio_high']:.2f})",
        f"{row['peak_share']:.0%}",
        " / ".join(sizes),
    ]
