"""What an array of jobs asks of Slurm, beside what `submitit` does.

`submitit` learns from `sacct` whether a job is over. Clusters without accounting do not have it,
and a job that was killed leaves no result to be found instead; so `squeue` is asked.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from reproducer.errors import ReproducerError

log = logging.getLogger(__name__)
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "srun")
MINUTES = 60 * 24
ASK_AGAIN_SECONDS = 10.0
# Since Slurm 22.05, `srun` does not take over how many cores the job has for a task.
SRUN_CPUS = '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"'


def require_slurm() -> None:
    """Raise where the commands of Slurm are not there."""
    if absent := [name for name in COMMANDS if not shutil.which(name)]:
        raise ReproducerError(
            f"--cluster slurm: expected the commands of Slurm on this machine, got no "
            f"{', '.join(absent)}; run it where jobs are submitted, or with --cluster local"
        )


def sbatch_options(given: Mapping[str, str]) -> dict[str, str | bool]:
    """Options of `sbatch` by their long names: ours, and over them those that were given.

    A job asks for one GPU where the cluster has any, and for a day.
    """
    ours = {"job-name": "reproduce", "time": str(MINUTES), "requeue": True}
    if not any(name.startswith(("gpu", "gres")) for name in given) and _has_gpus(given):
        ours["gpus-per-node"] = "1"
    return ours | dict(given)


def _has_gpus(given: Mapping[str, str]) -> bool:
    command = ["sinfo", "--noheader", "--format=%G"]
    if "partition" in given:
        command.append(f"--partition={given['partition']}")
    return "gpu" in subprocess.run(command, capture_output=True, text=True).stdout


def queued() -> set[str]:
    """The names of this user's jobs that wait or run, those of an array one by one."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    while True:
        listed = subprocess.run(command, capture_output=True, text=True)
        if listed.returncode == 0:
            return set(listed.stdout.split())
        log.warning("squeue: %s; asking again", " ".join(listed.stderr.split()))
        time.sleep(ASK_AGAIN_SECONDS)


def cancel_former(note: Path) -> None:
    """End the jobs named in the file `note` that a killed run left in the queue.

    Two jobs of one shard would write to one store from two machines.
    """
    if not note.exists():
        return
    names = set(note.read_text(encoding="utf-8").split())
    if left := names & queued():
        log.warning("cancelling %d jobs of a run that was killed", len(left))
        subprocess.run(["scancel", *sorted(left)], check=False)
    while names & queued():
        time.sleep(1)
    note.unlink()
