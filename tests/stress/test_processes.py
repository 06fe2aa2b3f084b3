"""What two processes must survive: many exits, a killed worker, a signal."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jemstone.cli import main
from jemstone.files import read_json
from jemstone.training import chains_files

pytestmark = pytest.mark.stress

SMALL = ["--network.width", "1", "--walk.steps", "2", "--chains.size", "50", "--precision=fp32"]


def start(*argv, **options):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.Popen(
        [*torchrun, "--nproc-per-node=2", *map(str, argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        **options,
    )


def metrics(folder):
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def wait_for(happened, process):
    for _ in range(1200):
        if happened():
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("number", range(50))
def test_processes_leave_quietly(number, tmp_path):
    train = ["-m", "jemstone", "train", "jempp", "--out", tmp_path / "run", "--steps", "2"]
    process = start(*train, *SMALL)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert "terminate called" not in told


def test_samples_and_figures_are_those_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("JEMSTONE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run, paths = tmp_path / "run", {}
    assert main(["train", "jempp", "--out", str(run), "--steps", "20", *SMALL]) == 0
    full = ["--suite", "full", "--attacked", "150", "--unknown", "constant"]
    for name, suffix, more in (("sample", "npz", []), ("evaluate", "json", full)):
        for world in (1, 2):
            out = paths[name, world] = tmp_path / f"{world}.{suffix}"
            torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            torchrun += [f"--nproc-per-node={world}", "-m", "--", "jemstone"]
            argv = [*torchrun, name, run, "--n", "301", "--out", out, *more]
            subprocess.run([str(token) for token in argv], check=True)
    with np.load(paths["sample", 1]) as alone, np.load(paths["sample", 2]) as together:
        assert (alone["images"] == together["images"]).all()
        assert (alone["labels"] == together["labels"]).all()
    alone, together = (read_json(paths["evaluate", world]) for world in (1, 2))
    for row in (*alone["generation"], *together["generation"]):
        del row["seconds_per_image"]
    del alone["seconds"], together["seconds"]
    assert alone == together


def workers(process):
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks /proc for the workers")
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("checkpoints", [0, 1])
def test_a_killed_worker_is_restarted_and_goes_on(rank, checkpoints, tmp_path):
    """With the same command: `train --out` goes on with the run that it began."""
    folder = tmp_path / "run"
    train = ["-m", "jemstone", "train", "jempp", "--out", folder, "--steps", "300"]
    process = start("--max-restarts=2", *train, "--checkpoint_every=100", *SMALL)
    after = 100 * checkpoints + 40
    wait_for(lambda: any(line["step"] >= after for line in metrics(folder)), process)
    os.kill(sorted(workers(process))[rank], signal.SIGKILL)
    told, _ = process.communicate(timeout=600)
    assert process.returncode == 0, told
    assert ("resumed from step 100" in told) == bool(checkpoints)
    assert [line["step"] for line in metrics(folder)] == list(range(20, 301, 20))
    assert read_json(folder / "checkpoint/training.json")["step"] == 300
    assert len(chains_files(folder / "checkpoint")) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_in_all_processes_at_one_step(number, tmp_path):
    folder = tmp_path / "run"
    train = ["-m", "jemstone", "train", "jempp", "--out", folder, "--steps", "5000"]
    process = start(*train, "--checkpoint_every=2500", *SMALL)
    wait_for(lambda: metrics(folder), process)
    process.send_signal(number)
    told, _ = process.communicate(timeout=120)
    assert f"jemstone train --resume {folder}" in told
    assert 0 < read_json(folder / "checkpoint/training.json")["step"] < 2500
    assert len(chains_files(folder / "checkpoint")) == 2
