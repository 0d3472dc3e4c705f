#!/bin/bash
# An array of jobs on a real one-node Slurm: submit, preempt in two ways, lose a job, finish, merge.
# As root on Debian, after `apt-get install slurm-wlm munge`: benchmarks/slurm_check.sh [FOLDER]
# Leaves daemons' logs, stores and job logs in FOLDER and ends the daemons that it started.
set -euo pipefail

cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}
python=${PYTHON:-.venv/bin/python}
run=("$python" -m reproducer run arrangements --profile smoke -p max_steps=1000)
export SLURM_CONF=$folder/slurm.conf REPRODUCER_CACHE=$folder/cache REPRODUCER_SHIPPED=$folder/none
pids=()

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }

start_slurm() {
    mkdir -p "$folder"/{ctld,slurmd} /run/munge
    chown munge: /run/munge
    if ! pgrep -x munged >/dev/null; then
        runuser -u munge -- /usr/sbin/munged --foreground >"$folder/munged.log" 2>&1 & pids+=($!)
        sleep 1
    fi
    cat >"$SLURM_CONF" <<CONF
ClusterName=check
SlurmctldHost=$(hostname -s)
SlurmUser=root
AuthInfo=cred_expire=10
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/slurmd
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=3
NodeName=$(hostname -s) CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    slurmctld -D -c >"$folder/slurmctld.log" 2>&1 & pids+=($!)
    slurmd -D >"$folder/slurmd.log" 2>&1 & pids+=($!)
    until sinfo --noheader 2>/dev/null | grep -q idle; do sleep 1; done
    say "$(sinfo --version), one node, no accounting: $(sinfo --noheader)"
}

stop_slurm() {
    kill "${pids[@]}" 2>/dev/null || true
}

# The names of this user's jobs in a state, one a line.
jobs_in() {
    squeue --me --noheader --array --states="$1" --format=%i | sort
}

# Waits until shard $1 has stored something.
await_result() {
    local file=$REPRODUCER_STORE/shards/$1-of-3/results.sqlite
    until [ -s "$file" ] && [ "$(stored "$file")" -gt 0 ]; do sleep 1; done
    say "shard $1/3 has stored $(stored "$file") results"
}

stored() {
    "$python" -c 'import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM results").fetchone()[0])
except sqlite3.OperationalError:
    print(0)' "$1"
}

trap stop_slurm EXIT
start_slurm

say "one process"
REPRODUCER_STORE=$folder/one "${run[@]}" 2>/dev/null

export REPRODUCER_STORE=$folder/many
say "three jobs"
"${run[@]}" --jobs 3 --cluster slurm >"$folder/run.log" 2>&1 & running=$!
until [ "$(jobs_in R | wc -l)" = 3 ]; do sleep 0.5; done
mapfile -t names < <(jobs_in R)
say "running: ${names[*]}"

await_result 1
scontrol requeue "${names[0]}"
say "scontrol requeue ${names[0]}: $(squeue --noheader --array -j "${names[0]}" --format='%T %r')"
await_result 2
scancel --signal=USR2 "${names[1]}"
say "SIGUSR2, as before a time limit, to ${names[1]}"
await_result 3
scancel "${names[2]}"
say "scancel ${names[2]}"

status=0; wait "$running" || status=$?
say "the run ended with status $status:"
tail -n 2 "$folder/run.log"
say "starts of each job: $(grep -ho 'Starting with JobEnvironment(job_id=[0-9_]*' \
    "$folder"/many/shards/logs/*/*_log.out | sed 's/.*=//' | sort | uniq -c | xargs)"

say "the same command again"
"${run[@]}" --jobs 3 --cluster slurm 2>/dev/null
say "left in the queue: $(squeue --me --noheader | wc -l)"

"$python" - "$folder/one" "$folder/many" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np

from reproducer.results.store import Store

one, many = (Store(Path(folder)) for folder in sys.argv[1:])
assert list(one.keys()) == list(many.keys())
fits = [(one.get(key), many.get(key)) for key in one.keys()]
gaps = [
    float(np.mean(b.metrics["accuracy"]) - np.mean(a.metrics["accuracy"]))
    for a, b in fits
    if "accuracy" in a.metrics
]
print(f"{len(fits)} results, the same keys; accuracy of {len(gaps)} fits:", end=" ")
print(f"{sum(gap == 0 for gap in gaps)} equal, mean difference {np.mean(gaps):+.4f},", end=" ")
print(f"largest {max(map(abs, gaps)):.4f}")
PYTHON
say "done; everything is in $folder"
