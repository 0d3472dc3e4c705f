"""Shards as jobs: the results of one process, whatever is killed; and clear errors."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from reproducer.app import jobs, slurm
from reproducer.app.jobs import ShardJob, run_jobs, run_shard, shards_dir
from reproducer.errors import ReproducerError
from reproducer.experiments import study
from reproducer.experiments.precision import MARGIN
from reproducer.experiments.profiles import load_params
from reproducer.results.known import Known
from reproducer.results.shards import Shard
from reproducer.results.store import Store
from tests.app.test_cli import SMOKE, call, complaint


def chosen(*names, **overrides):
    return {name: load_params(name, "smoke", **overrides) for name in names}


def missing(params):
    known = Known()
    return [spec.key for each in params.values() for spec in study.missing(each, known)]


def difference(one, many):
    """Mean difference in accuracy of the fits of two stores that hold the same keys."""
    assert list(one.keys()) == list(many.keys())
    pairs = [(one.get(key).metrics, many.get(key).metrics) for key in one.keys()]
    fits = [(a["accuracy"], b["accuracy"]) for a, b in pairs if "accuracy" in a]
    assert fits
    return np.mean([np.mean(b) - np.mean(a) for a, b in fits])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "3/2"], "expected a shard i/k with i from 1 to k, such as 2/4, got '3/2'"),
        (["--shard", "two"], "expected a shard i/k"),
        (["--jobs", "0"], "expected --jobs of at least 1, got 0"),
        (["--jobs", "-1"], "expected --jobs of at least 1, got -1"),
        (["--jobs", "2", "--shard", "1/2"], "expected --shard or --jobs, got both"),
        (["--cluster", "local"], "expected --jobs with --cluster or --sbatch"),
        (["--jobs", "2", "--cluster", "slrm"], "did you mean 'slurm'"),
        (["--jobs", "2", "--cluster", "slurm"], "expected the commands of Slurm"),
        (["--jobs", "2", "--sbatch", "time=1"], "options of sbatch only with --cluster slurm"),
        (["--jobs", "2", "--cluster", "slurm", "--sbatch", "time"], "NAME=VALUE after --sbatch"),
    ],
)
def test_bad_options_before_any_work(options, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(jobs, "_run_array", None)
    monkeypatch.setattr(study, "run", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert message in complaint(capsys, monkeypatch, "run", "arrangements", *SMOKE, *options)


class TestGpus:
    def test_each_job_has_one(self, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a")
        assert jobs._devices(2, "local") == ["2", "GPU-5a"]
        with pytest.raises(ReproducerError, match="at most 2, one a GPU, got 3"):
            jobs._devices(3, "local")

    def test_without_any_there_are_as_many_jobs_as_asked_for(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert jobs._devices(3, "local") == [None] * 3

    def test_the_driver_says_how_many(self, monkeypatch, tmp_path):
        command(tmp_path, "nvidia-smi", "GPU 0: H100\nGPU 1: H100")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert jobs._devices(2, "local") == ["0", "1"]

    def test_a_job_sees_its_own_before_pytorch_is_there(self, tmp_path):
        program = (
            "import os, pickle, sys; job = pickle.load(sys.stdin.buffer)\n"
            "import reproducer.app.jobs as jobs\n"
            "jobs.run_shard = lambda *a, **k: print(os.environ['CUDA_VISIBLE_DEVICES'],"
            " 'torch' in sys.modules)\n"
            "job()"
        )
        job = pickle.dumps(ShardJob(chosen("arrangements"), Shard(1, 2), "7"))
        done = subprocess.run([sys.executable, "-c", program], input=job, capture_output=True)
        assert done.stdout.split() == [b"7", b"False"], done.stderr


def command(folder, name, printed, status=0):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho \"$@\" >> {folder}/{name}.log\ncat <<'END'\n{printed}\nEND\n"
                    f"exit {status}\n")
    path.chmod(0o755)


class TestSlurm:
    @pytest.fixture(autouse=True)
    def path(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def test_one_gpu_where_there_are_any(self, tmp_path):
        command(tmp_path, "sinfo", "gpu:a100:4(S:0-1)")
        assert slurm.sbatch_options({"partition": "big"})["gpus-per-node"] == "1"
        assert "--partition=big" in (tmp_path / "sinfo.log").read_text()
        for asked in ({"gres": "gpu:2"}, {"gpus": "1"}):
            assert "gpus-per-node" not in slurm.sbatch_options(asked)
        command(tmp_path, "sinfo", "(null)")
        assert "gpus-per-node" not in slurm.sbatch_options({})

    def test_what_is_given_comes_before_what_is_ours(self, tmp_path):
        command(tmp_path, "sinfo", "(null)")
        options = slurm.sbatch_options({"time": "4:00:00", "mem": "8G"})
        assert (options["time"], options["mem"], options["requeue"]) == ("4:00:00", "8G", True)

    @pytest.mark.parametrize("given", ["4", ""])
    def test_a_step_has_the_cores_of_its_job_and_the_log_no_secrets(self, given):
        script = f"{slurm.SRUN_CPUS}\necho [$SRUN_CPUS_PER_TASK]"
        variables = os.environ | ({"SLURM_CPUS_PER_TASK": given} if given else {})
        done = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True)
        assert (done.stdout, done.returncode) == (f"[{given}]\n", 0)

    def test_jobs_of_a_killed_run_are_cancelled(self, tmp_path):
        note = tmp_path / "jobs.txt"
        slurm.cancel_former(note)
        note.write_text("7_0\n7_1")
        command(tmp_path, "squeue", "7_1\n8_0")
        command(tmp_path, "scancel", "")
        (tmp_path / "scancel").write_text(
            f"#!/bin/sh\necho \"$@\" > {tmp_path}/cancelled\n"
            f"printf '#!/bin/sh\\necho 8_0\\n' > {tmp_path}/squeue\n"
        )
        slurm.cancel_former(note)
        assert (tmp_path / "cancelled").read_text() == "7_1\n" and not note.exists()

    def test_a_controller_that_does_not_answer_is_asked_again(self, tmp_path, monkeypatch, caplog):
        command(tmp_path, "squeue", "", status=1)
        monkeypatch.setattr(
            slurm.time, "sleep", lambda seconds: command(tmp_path, "squeue", "7_[0-1]\n7_2")
        )
        assert slurm.queued() == {"7_[0-1]", "7_2"} and "asking again" in caplog.text


def test_rounds_that_need_results_of_several_shards_are_computed_after_a_merge(tiny, tmp_path):
    """Curves between solutions, fits of texts that are sampled first."""
    params = {
        "connectivity": load_params("connectivity", "smoke", share="none"),
        "distances": load_params("distances", "smoke"),
    }
    left = [len(missing(params))]
    while left[-1]:
        for number in (1, 2, 3):
            run_shard(params, Shard(number, 3), progress=False)
        jobs._collect()
        left.append(len(missing(params)))
        assert len(left) < 6
    assert len(left) > 2  # more than one merge
    alone = Known(Store(tmp_path / "alone"))
    for each in params.values():
        study.run(each, alone, progress=False)
    assert abs(difference(alone.store, Store())) <= MARGIN


def test_the_command_runs_a_shard(tiny):
    printed = call("run", "sharing", *SMOKE, "--shard", "1/2")
    assert "shard 1/2 is in" in printed and "1-of-2" in printed
    half = len(Store(shards_dir() / "1-of-2"))
    assert 0 < half < 20 and len(Store()) == 0
    call("run", "sharing", *SMOKE, "--shard", "2/2")
    assert call("merge", str(shards_dir() / "1-of-2"), str(shards_dir() / "2-of-2"))
    assert len(Store()) == 20 and missing(chosen("sharing")) == []


def test_jobs_that_compute_nothing_are_no_endless_loop(monkeypatch):
    monkeypatch.setattr(jobs, "_run_array", lambda *arguments: [])
    with pytest.raises(ReproducerError, match="expected the jobs to compute 20 results, got none"):
        run_jobs(chosen("sharing"), 2)


def test_an_interrupted_run_cancels_its_jobs_and_keeps_their_results(tiny, monkeypatch):
    class Job:
        job_id, over = "1", False

        def done(self):
            if not self.over:
                raise KeyboardInterrupt
            return True

        def cancel(self, check):
            self.over = True

    job = Job()

    def submitted(tasks, *arguments):
        run_shard(tasks[0].chosen, tasks[0].shard, progress=False)
        return [job]

    monkeypatch.setattr(jobs, "_submitted", submitted)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(chosen("sharing"), 2)
    assert job.over and 0 < len(Store()) < 20


def kill_while_it_fits(shard):
    """Kill the process of a shard as soon as it holds a lease."""
    path = shards_dir() / f"{shard.number}-of-{shard.total}" / "results.sqlite"
    deadline = time.monotonic() + 1000
    while time.monotonic() < deadline:
        try:
            with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as connection:
                found = connection.execute("SELECT pid FROM leases").fetchone()
        except sqlite3.OperationalError:  # not there yet
            found = None
        if found:
            os.kill(found[0], signal.SIGKILL)
            return
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # five processes load PyTorch, maybe on one core
def test_four_jobs_one_of_them_killed_give_what_one_process_gives(tiny, tmp_path, capsys):
    params = chosen("sharing", max_steps=60)
    alone = Known(Store(tmp_path / "alone"))
    study.run(params["sharing"], alone, progress=False)

    killer = threading.Thread(target=kill_while_it_fits, args=(Shard(2, 4),))
    killer.start()
    options = ("-p", "max_steps=60", "--jobs", "4")
    printed = call("run", "sharing", *SMOKE, *options, status=1)
    killer.join()
    assert "shard 2/4 is lost: its process was ended from outside" in printed
    assert "the same command goes on from there" in printed
    # The other shards are whole; the killed one has lost what it was about to fit.
    owned = study.missing(params["sharing"], Known(Store(tmp_path / "none")), Shard(2, 4))
    assert set(missing(params)) <= {spec.key for spec in owned} and missing(params)

    # The division may be another one the next time.
    assert "sharing" in call("run", "sharing", *SMOKE, "-p", "max_steps=60", "--jobs", "1")
    assert missing(params) == []
    assert abs(difference(alone.store, Store())) <= MARGIN
