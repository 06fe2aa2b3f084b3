"""Runs that are killed at any instant: `make stress`."""

import os
import random
import subprocess
import sys
import time

import pytest

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
