"""Compute results: `run`, what it would cost: `plan`, and the book of them: `book`."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from reproducer.app.commands.options import AsJson, Names, Overrides, Profile, pairs_of, params_of
from reproducer.app.commands.printing import console, print_table
from reproducer.errors import ReproducerError
from reproducer.experiments import SHIPPED

if TYPE_CHECKING:
    from reproducer.experiments.profiles import ExperimentParams


def run(
    experiments: Names = None,
    profile: Profile = SHIPPED,
    param: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan of what would be computed, and end.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(help="i/k: only part i of k, into a store of its own.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Divide the work among so many jobs, one a GPU.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Where jobs run: local (the default) or slurm.")
    ] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, an option of sbatch by its long name.")
    ] = None,
) -> None:
    """Compute the results of experiments (all, if none is named) into the store."""
    if dry_run:
        plan(experiments, profile, param)
        return
    from tqdm import tqdm

    from reproducer.experiments.study import study, wanted
    from reproducer.results.known import Known
    from reproducer.results.progress import Progress

    chosen = params_of(experiments, profile, pairs_of(param or [], "-p"))
    if shard is not None and jobs is not None:
        raise ReproducerError("expected --shard or --jobs, got both")
    if jobs is None and (cluster or sbatch):
        raise ReproducerError("expected --jobs with --cluster or --sbatch, got none")
    if shard is not None:
        _run_shard(chosen, shard)
        return
    if jobs is not None:
        _run_jobs(chosen, jobs, cluster or "local", sbatch or [])
    known, line = Known(), Progress()
    # Everything is planned before the first fit, since plans fail on unknown models and texts.
    for params in chosen.values():
        line.expect(wanted(params, known), known)
    with closing(line):
        for name, params in chosen.items():
            tqdm.write(f"{name}: {len(study(params, progress=line))} rows")


def _run_shard(chosen: dict[str, ExperimentParams], shard: str) -> None:
    from reproducer.app.jobs import run_shard
    from reproducer.results.shards import Shard

    folder = run_shard(chosen, Shard.parse(shard))
    console.print(f"shard {shard} is in {folder}; `reproduce merge` unites shards", soft_wrap=True)


def _run_jobs(
    chosen: dict[str, ExperimentParams], jobs: int, cluster: str, sbatch: list[str]
) -> None:
    """Run jobs until nothing is missing; names lost shards and ends with status 1 if there are."""
    from reproducer.app.jobs import run_jobs

    if lost := run_jobs(chosen, jobs, cluster, pairs_of(sbatch, "--sbatch")):
        console.print("\n".join(lost), soft_wrap=True)
        console.print("what they finished is stored; the same command goes on from there")
        raise typer.Exit(1)


def plan(
    experiments: Names = None,
    profile: Profile = SHIPPED,
    param: Overrides = None,
    peak: Annotated[
        float | None, typer.Option(help="TFLOP/s: hours follow from it, not from a calibration.")
    ] = None,
    share: Annotated[float, typer.Option(help="What a run reaches of the peak.")] = 0.35,
    memory: Annotated[float, typer.Option(help="Memory of that GPU, GB.")] = 80,
    as_json: AsJson = False,
) -> None:
    """Tell what a run would cost (fits, steps, hours, memory) and what its claims could show.

    Times the solver here for half a minute. Models of the hub that are not here, and all with
    --peak, are told in hours of a GPU, an H100 by default.
    """
    from reproducer.app.detectable import detectable
    from reproducer.app.plan import Gpu
    from reproducer.app.plan import plan as plan_of
    from reproducer.app.plan_table import HEADER, detectable_rows, plan_notes, plan_rows
    from reproducer.results.known import Known

    chosen = params_of(experiments, profile, pairs_of(param or [], "-p"))
    gpu = Gpu(share=share, memory_bytes=memory * 1e9)
    if peak is not None:
        gpu = replace(gpu, name="a GPU", peak_flops=peak * 1e12)
    rows, unplanned = plan_of(chosen, gpu, by_peak=peak is not None)
    possible = [params for name, params in chosen.items() if name not in unplanned]
    claims = [claim for params in possible for claim in detectable(params, Known())]
    if as_json:
        facts = {"rows": [row.data() for row in rows], "not_planned": unplanned}
        typer.echo(json.dumps(facts | {"claims": [asdict(c) for c in claims]}, indent=1))
        return
    print_table(list(HEADER), plan_rows(rows))
    console.print("\n".join(plan_notes(rows, unplanned)))
    print_table(["claim", "planned n", "smallest effect", "criterion"], detectable_rows(claims))


def book(experiments: Names = None, profile: Profile = SHIPPED) -> None:
    """Execute the notebooks under a profile and build the book."""
    from reproducer.app.book import build_book

    console.print(f"The book is at {build_book(profile, experiments)}", soft_wrap=True)
