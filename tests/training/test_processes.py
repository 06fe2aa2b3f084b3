"""Many processes do what one would: laws, and two real processes that `torchrun` starts."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
import torch
import torch.distributed as dist

from jemstone.cli import main
from jemstone.files import finite, read_json, read_tensors
from jemstone.samplers import join_chains
from jemstone.training import Processes, chains_files, join
from jemstone.training.processes import meet

WORKERS = Path(__file__).parent / "workers.py"
SMALL = ["--network.width", "1", "--walk.steps", "2", "--chains.size", "50", "--precision=fp32"]
spec = importlib.util.spec_from_file_location("workers", WORKERS)
workers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(workers)


def start(argv):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.Popen(
        [*torchrun, "--nproc-per-node=2", *map(str, argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Return the folder in which two processes left what they did."""
    folder = tmp_path_factory.mktemp("together")
    alone = workers.state()
    (folder / "one").mkdir()
    alone.save(folder / "one/checkpoint", alone.model)
    process = start([WORKERS, folder])
    _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train a run of the command line with two processes, one of which is killed on the way."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    argv = ["-m", "jemstone", "train", "jempp", "--out", folder, "--steps", "120"]
    argv += ["--checkpoint_every=40", "--optimisation.batch_size=8", *SMALL]
    process = start(["--max-restarts=1", *argv])
    metrics = folder / "metrics.jsonl"
    while '"step": 60' not in (metrics.read_text() if metrics.is_file() else ""):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    killed = Path("/proc/self/task").is_dir()
    if killed:
        tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
        workers = [int(child) for task in tasks for child in task.read_text().split()]
        os.kill(max(workers), signal.SIGKILL)
    out, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert out.splitlines()[-1] == str(folder)
    assert "2 processes" in told
    assert ("resumed from step" in told) == killed
    return folder


def error(found, expected, kind):
    names = [name for name in expected if name.startswith(kind)]
    largest = max(expected[name].detach().abs().max() for name in names)
    apart = max((found[name] - expected[name].detach()).abs().max() for name in names)
    return float(apart / largest)


@pytest.mark.parametrize("case", workers.CASES[:-1])
def test_gradients_are_those_of_one_process_on_the_joint_batch(case, together):
    """For norms that do not mix images; with batches that do not halve evenly too."""
    expected = workers.gradients(case, Processes())
    for rank in (0, 1):
        found = read_tensors(together / f"{case}-{rank}.safetensors")
        assert error(found, expected, "grad.") < 1e-5
        assert error(found, expected, "weight.") < 1e-5
    first = read_tensors(together / f"{case}-0.safetensors")
    # What is said of the chains is said of some of each process's own.
    joint = [
        n for n in expected if n.startswith("metric.") and "chains" not in n and "gap" not in n
    ]
    assert len(joint) > 5
    for name in joint:
        torch.testing.assert_close(first[name], expected[name].float(), rtol=1e-4, atol=1e-5)


def test_batch_norm_sees_its_own_share_and_the_weights_stay_one(together):
    first, second = (read_tensors(together / f"batch-{rank}.safetensors") for rank in (0, 1))
    for name in second:  # of which the second heard no metrics
        assert torch.equal(first[name], second[name]), name
    alone = workers.gradients("batch", Processes(), steps=3)
    assert 1e-4 < error(first, alone, "weight.") < 0.5


@pytest.mark.parametrize("rank", [0, 1])
def test_as_many_processes_go_on_bit_for_bit(rank, together):
    whole, again = (
        read_tensors(together / f"{name}-{rank}.safetensors") for name in ("whole", "resumed")
    )
    assert whole.keys() == again.keys()
    for name, value in whole.items():
        assert torch.equal(again[name], value), name


def test_two_processes_deal_the_buffer_of_one(together):
    files = chains_files(together / "two/checkpoint")
    assert len(files) == 2
    alone = workers.state(seed=1)
    alone.load(together / "two/checkpoint")
    assert torch.equal(alone.buffer.images, workers.state().buffer.images)


def test_chains_of_one_process_go_on_in_two(together):
    shares = [read_tensors(f)["images"] for f in chains_files(together / "again/checkpoint")]
    assert [len(share) for share in shares] == [9, 6]
    whole = join_chains(shares, workers.CLASSES).flatten(0, 1)
    assert torch.equal(whole, workers.state().buffer.images)


def test_a_judgement_by_two_is_that_of_one_to_the_last_digit(together):
    alone = json.loads(json.dumps(finite(workers.judged(Processes()))))
    assert len(alone["robust_accuracy"]) > 10
    assert len(alone["ood"]) > 5
    assert len(alone["purification"]) == 1
    del alone["machine"]  # which may give this process more threads than each of the two
    for rank in (0, 1):
        judged = read_json(together / f"judged-{rank}.json")
        del judged["machine"]
        assert judged == alone


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [7, 12])
def test_what_is_dealt_is_dealt_once_and_evenly(world, count):
    shares = [list(range(count))[Processes(rank, world).share] for rank in range(world)]
    assert sorted(place for share in shares for place in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("late", range(3))
def test_processes_meet_each_other_and_not_the_dead(late):
    """In a store that former ones have left, whoever comes last."""
    store, names = dist.HashStore(), {}

    def come(rank, seconds):
        time.sleep(seconds)
        names[rank] = meet(store, rank, 3)

    for _ in range(3):
        former = set(names.values())
        threads = [Thread(target=come, args=(n, 0.3 * (n == late))) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert len(set(names.values())) == 1
        assert not former & set(names.values())


def test_one_process_agrees_with_itself():
    with join() as alone:
        assert alone == Processes()
    terms = {"loss": torch.tensor(0.1)}
    assert alone.mean(terms, 1.0)["loss"] is terms["loss"]
    assert alone.in_turn(lambda: 3) == 3
    assert [alone.any(True), alone.any(False)] == [True, False]


def test_two_processes_leave_the_contracts_files(run):
    left = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    for folder in ("checkpoint", "checkpoints/000080"):
        for file in ("model", "training", "chains-0", "chains-1"):
            assert f"{folder}/{file}.safetensors" in left
    assert {"recipe.yaml", "environment.json", "init.safetensors", "samples/000120.png"} <= left
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(20, 121, 20))
    assert json.loads((run / "environment.json").read_text())["processes"] == 2


def test_one_process_goes_on_where_two_stopped(run, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(run, again)
    shutil.rmtree(again / "checkpoint")  # as if killed after step 80
    (again / "checkpoints/000080").rename(again / "checkpoint")
    assert main(["train", "--resume", str(again)]) == 0
    (alone,) = chains_files(again / "checkpoint")
    both = [read_tensors(file)["images"] for file in chains_files(run / "checkpoint")]
    assert len(read_tensors(alone)["images"]) == sum(map(len, both)) == 50
    lines = [json.loads(line) for line in (again / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(20, 121, 20))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_mistake_is_told_by_the_first_alone(rank, monkeypatch, capsys):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "1", "RANK": str(rank)}.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "gem"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 - rank
