"""Experiments as an array of jobs: a shard each, on this machine's GPUs or on a Slurm cluster.

`submitit` submits the jobs. A job that is preempted or out of time is put back into the queue and
goes on where its store stands. When all have ended, their stores are merged into the one in use.
What can be asked for only then, since it needs the results of several shards, is the next array's.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from reproducer.app.slurm import SRUN_CPUS, cancel_former, queued, require_slurm, sbatch_options
from reproducer.errors import ReproducerError, require_name
from reproducer.experiments import study
from reproducer.experiments.profiles import ExperimentParams
from reproducer.paths import store_dir
from reproducer.results.known import Known
from reproducer.results.merge import merge
from reproducer.results.progress import following
from reproducer.results.shards import Shard
from reproducer.results.store import FILE, Store

if TYPE_CHECKING:
    import submitit

log = logging.getLogger(__name__)
CLUSTERS = ("local", "slurm")
POLL_SECONDS = 1.0
# How long a file may take to show on another machine of a network file system.
FILE_SECONDS = 15.0
LOCAL_MINUTES = 60 * 24 * 365
MOST_TIMEOUTS = 1000


def shards_dir() -> Path:
    """Where shards have their stores: beside the store in use."""
    return store_dir() / "shards"


def run_shard(chosen: Mapping[str, ExperimentParams], shard: Shard, progress: bool = True) -> Path:
    """Compute what belongs to a shard, as far as it needs no missing results of others.

    What is shipped and what the store in use holds is known; the shard writes to its own store.

    Returns:
        The folder of the shard's store.
    """
    own = Store(shards_dir() / f"{shard.number}-of-{shard.total}")
    known = Known(own, base=Store(read_only=True))
    with following(progress) as line, closing(own):
        # Everything is planned before the first fit, since plans fail on unknown models and texts.
        for params in chosen.values():
            line.expect(study.missing(params, known, shard), known)
        for params in chosen.values():
            study.run(params, known, line, shard)
    return own.folder


@dataclass(frozen=True)
class ShardJob:
    """What a job runs; `device` is the GPU that it may see, None to leave that to the cluster."""

    chosen: Mapping[str, ExperimentParams]
    shard: Shard
    device: str | None = None

    def __call__(self) -> None:
        if self.device is not None:
            # PyTorch, which reads this once, is imported later.
            os.environ["CUDA_VISIBLE_DEVICES"] = self.device
        run_shard(self.chosen, self.shard, progress=False)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What a job that is put back into the queue runs: the same, since results are stored."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_jobs(
    chosen: Mapping[str, ExperimentParams],
    n_jobs: int,
    cluster: str = "local",
    options: Mapping[str, str] | None = None,
) -> list[str]:
    """Compute experiments by arrays of `n_jobs` jobs until nothing is missing or a job is lost.

    Args:
        chosen: parameters by experiment.
        n_jobs: jobs in an array, one for each shard.
        cluster: `local` for processes on this machine, `slurm` for a Slurm cluster.
        options: of `sbatch`, by their long names.

    Returns:
        A line for each lost shard; what it stored is merged, and the same call goes on from there.

    Raises:
        ReproducerError: no job, no such cluster here, more local jobs than GPUs, jobs that Slurm
            refuses, or jobs that end well and leave as much missing as before.
    """
    require_name("cluster", cluster, CLUSTERS)
    if options and cluster != "slurm":
        raise ReproducerError("expected options of sbatch only with --cluster slurm")
    devices = _devices(n_jobs, cluster)
    shards = [Shard(number, n_jobs) for number in range(1, n_jobs + 1)]
    jobs = [ShardJob(chosen, *pair) for pair in zip(shards, devices, strict=True)]
    if cluster == "slurm":
        cancel_former(_note())
    _collect()  # what a run that did not come to its end has left
    before: set[str] = set()
    while left := _missing_keys(chosen):
        if left == before:
            raise ReproducerError(f"expected the jobs to compute {len(left)} results, got none")
        try:
            lost = _run_array(jobs, cluster, options or {})
        finally:
            _collect()
        if lost:
            return lost
        before = left
    return []


def _missing_keys(chosen: Mapping[str, ExperimentParams]) -> set[str]:
    known = Known()
    # While jobs read the store, nobody else may have it open: it may lie on a network file system.
    with closing(known.store):
        return {spec.key for params in chosen.values() for spec in study.missing(params, known)}


def _collect() -> None:
    """Merge the stores of all shards that are there into the one in use."""
    with closing(Store()) as store:
        merge(sorted(path.parent for path in shards_dir().glob(f"*/{FILE}")), store)


def _devices(n_jobs: int, cluster: str) -> Sequence[str | None]:
    """The GPU of each job; raises where the jobs cannot run."""
    if n_jobs < 1:
        raise ReproducerError(f"expected --jobs of at least 1, got {n_jobs}")
    if cluster == "slurm":
        require_slurm()
        return [None] * n_jobs
    gpus = _local_gpus()
    if gpus and n_jobs > len(gpus):
        raise ReproducerError(f"expected --jobs of at most {len(gpus)}, one a GPU, got {n_jobs}")
    return gpus[:n_jobs] or [None] * n_jobs


def _local_gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return [str(number) for number, _ in enumerate(listed.stdout.splitlines())]


def _run_array(jobs: Sequence[ShardJob], cluster: str, options: Mapping[str, str]) -> list[str]:
    """Submit jobs and wait for them; a line for each that was lost."""
    running = _submitted(jobs, cluster, options)
    try:
        _wait(running, cluster)
    except BaseException:
        for job in running:
            job.cancel(check=False)
        _wait(running, cluster)
        raise
    lost = []
    for task, job in zip(jobs, running, strict=True):
        if reason := _failure(job, cluster):
            lost.append(f"shard {task.shard} is lost: {reason} (log: {job.paths.stderr})")
    return lost


def _submitted(
    jobs: Sequence[ShardJob], cluster: str, options: Mapping[str, str]
) -> list[submitit.Job]:
    import submitit

    # Job numbers of a local run are those of processes, which come again: a folder for each array.
    folder = shards_dir() / "logs" / time.strftime("%Y%m%d-%H%M%S")
    if cluster == "local":
        executor = submitit.LocalExecutor(folder, max_num_timeout=MOST_TIMEOUTS)
        executor.update_parameters(timeout_min=LOCAL_MINUTES)
        with _threads(len(jobs)):
            return executor.submit_array(jobs)
    executor = submitit.SlurmExecutor(folder, max_num_timeout=MOST_TIMEOUTS)
    # submitit writes its own defaults under names with underscores, which are to be replaced.
    extra = {name.replace("-", "_"): value for name, value in sbatch_options(options).items()}
    executor.update_parameters(additional_parameters=extra, setup=[SRUN_CPUS])
    try:
        running = executor.submit_array(jobs)
    except submitit.core.utils.FailedJobError as error:
        raise ReproducerError(f"expected Slurm to take the jobs, got: {error}") from error
    _note().write_text("\n".join(job.job_id for job in running), encoding="utf-8")
    return running


@contextmanager
def _threads(n_processes: int) -> Iterator[None]:
    """Share this machine's cores among the processes that are started inside."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // n_processes))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def _wait(running: Sequence[submitit.Job], cluster: str) -> None:
    left = list(running)
    with tqdm(total=len(left), desc="jobs", unit=" jobs", mininterval=5) as bar:
        while left:
            alive = queued() if cluster == "slurm" else {j.job_id for j in left if not j.done()}
            left = [job for job in left if job.job_id in alive]
            bar.update(len(running) - len(left) - bar.n)
            time.sleep(POLL_SECONDS if left else 0)


def _failure(job: submitit.Job, cluster: str) -> str | None:
    """Why a job that is over gave no result, in one line; None if it did."""
    from submitit.core.utils import pickle_load

    deadline = time.monotonic() + (FILE_SECONDS if cluster == "slurm" else 0)
    while not job.paths.result_pickle.exists():
        if time.monotonic() >= deadline:
            return "its process was ended from outside"
        time.sleep(POLL_SECONDS)
    outcome, value = pickle_load(job.paths.result_pickle)
    return None if outcome == "success" else value.strip().splitlines()[-1]


def _note() -> Path:
    """Where the names of jobs in Slurm's queue are kept, should this process be killed."""
    return shards_dir() / "slurm-jobs.txt"
