"""Runs that are killed, and runs that are long: `make stress`."""

import gc
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from jemstone.data import load
from jemstone.experiments import begin
from jemstone.recipes import changed, recipe_for

pytestmark = pytest.mark.stress

TINY = {
    "network.width": 1,
    "walk.steps": 1,
    "attack.steps": 1,
    "chains.size": 40,
    "optimisation.batch_size": 16,
}
OPTIONS = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
FILES = ("model.safetensors", "training.safetensors", "chains-0.safetensors")


def jemstone(*argv):
    command = [sys.executable, "-m", "jemstone", *map(str, argv)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def train(folder):
    steps = ["--steps", "400", "--checkpoint_every", "10", "--precision", "fp32"]
    return jemstone("train", "robust-jem", "--out", folder, *steps, *OPTIONS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of an uninterrupted run, and the seconds it took."""
    folder, began = tmp_path_factory.mktemp("whole") / "run", time.perf_counter()
    process = train(folder)
    assert process.wait() == 0, process.stderr.read()
    return folder, time.perf_counter() - began


@pytest.mark.parametrize("seed", range(20))
def test_a_run_killed_at_any_instant_ends_as_if_never_killed(seed, whole, tmp_path):
    expected, seconds = whole
    folder, draws = tmp_path / "run", random.Random(seed)
    process = train(folder)
    time.sleep(seconds * draws.uniform(0.3, 0.9))
    process.kill()
    process.communicate()
    process = jemstone("train", "--resume", folder) if folder.is_dir() else train(folder)
    _, told = process.communicate()
    assert process.returncode == 0, told
    for file in FILES:
        ended, uninterrupted = (run / "checkpoint" / file for run in (folder, expected))
        assert ended.read_bytes() == uninterrupted.read_bytes(), file


def test_a_long_run_grows_in_nothing_but_its_metrics(tmp_path):
    """Ten thousand steps: memory, open files and what lies in the folder stay as they were."""
    data = load("digits")
    fields = {**TINY, "optimisation.steps": 10_000, "network.depth": 10, "noise": 0.0}
    recipe = changed(recipe_for("jempp"), fields)
    run = begin(tmp_path / "run", recipe, data, checkpoint_every=500)
    seen = []

    class Meter:
        def on_metrics(self, step, metrics):
            if step % 1000 == 0:
                gc.collect()
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                files = len(list(Path("/proc/self/fd").iterdir()))
                tensors = sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())
                seen.append((pages * resource.getpagesize(), files, tensors))

        def on_event(self, event):
            pass

        def on_checkpoint(self, state, model):
            pass

        def wants_stop(self):
            return False

    run.train(data, Meter())
    memory, files, tensors = zip(*seen, strict=True)
    assert max(memory[2:]) < memory[1] + 50e6
    assert max(files) == files[0]
    assert max(tensors[2:]) <= tensors[1] + 10
    assert (run.path / "metrics.jsonl").stat().st_size < 1e6
    assert len(list((run.path / "checkpoints").iterdir())) <= 4
