"""A reproduction small enough to be done whole: two classes of 6x6 images, steps by the handful."""

import hashlib
import json
from typing import ClassVar

import numpy as np
import pytest
import torch

from jemstone.data import load
from jemstone.experiments import judge_from, suites
from jemstone.experiments.reproduction import (
    Plan,
    Work,
    check_work,
    networks,
    plan,
    reproduce,
    trajectory,
)
from jemstone.files import write_tensors
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet
from jemstone.random import Generator
from jemstone.recipes import changed
from jemstone.training import Device


class Flow:
    """A flow that learns nothing and draws noise."""

    trained: ClassVar[list] = []

    def __init__(self, path, name, seed, size):
        self.path, self.name, self.seed, self.size = path, name, seed, size
        self.steps, self.train_seconds, self.estimator = size.optimisation.steps, 1.5, "none"
        self.weights_sha256 = f"{name}-{seed}"

    @classmethod
    def begin(cls, path, name, data, budget, seed, *, size, device):
        path.mkdir(parents=True, exist_ok=True)
        return cls(path, name, seed, size)

    @property
    def done(self):
        return (self.path / "done").is_file()

    def train(self, data, *, wants_stop, on_metrics):
        self.trained.append((self.name, self.seed))
        on_metrics(self.steps, {"loss": 8.0})
        (self.path / "done").touch()

    def sample(self, y, generator, overflowed):
        overflowed(0)
        return generator.uniform((len(y), 1, 6, 6))

    def bits_per_dim(self, images, generator):
        return 8.0 + self.seed


@pytest.fixture(autouse=True)
def flows(monkeypatch):
    Flow.trained.clear()
    monkeypatch.setattr(networks, "FlowRun", Flow)
    return Flow.trained


SMALL = {
    "network.architecture": "convnet",
    "network.width": 2,
    "sampling.unconditional.steps": 6,
    "chains.size": 30,
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Make networks, walks and attacks small enough for a test."""
    recipe_for = plan.recipe_for
    monkeypatch.setattr(plan, "recipe_for", lambda *named: changed(recipe_for(*named), SMALL))
    monkeypatch.setattr(trajectory, "_FRAMES", 10)
    monkeypatch.setattr(suites, "_PGD_STEPS", 2)
    monkeypatch.setattr(suites, "_RESTARTS", 1)


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """The file of the images."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    arrays = {}
    for split, count in (("train", 40), ("test", 24)):
        labels = torch.arange(count) % 2
        words = Generator(count).integers(count * 36, 128).reshape(count, 6, 6)
        arrays[f"{split}_images"] = (words + 96 * labels[:, None, None]).byte().numpy()
        arrays[f"{split}_labels"] = labels.numpy()
    np.savez(path, **arrays)
    return str(path)


@pytest.fixture(scope="session")
def judge_file(tmp_path_factory):
    """The weights of a judge that has learnt nothing, and judges all the same."""
    torch.manual_seed(0)
    model = JointEnergyModel(ConvNet(1, 2, 4), mean=0.5, std=0.5)
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    write_tensors(path, model.state_dict())
    return path


@pytest.fixture(scope="session")
def judge(judge_file, source):
    return judge_from(judge_file, load(source))


@pytest.fixture
def work(source, judge_file, tmp_path):
    """Build the work on a plan, by default all of it, in a folder of its own."""
    digest = hashlib.sha256(judge_file.read_bytes()).hexdigest()
    data = load(source)

    def build(out="out", progress=lambda line: None, watched=None, **fields):
        fields = {"seeds": (0, 1), "budget": "quick", "samples": 20, "steps": 2} | fields
        asked = Plan(source, judge=digest, **fields).joined(tmp_path / out, data)
        more = {} if watched is None else {"watched": watched}
        device = Device()
        return Work(
            asked, data, tmp_path / out, None, None, device, device, None, progress=progress, **more
        )

    return build


@pytest.fixture
def last():
    """Do some work to its end, and return the last outcome, which is valid JSON."""

    def done(work, judge):
        check_work(work)
        *_, outcome = reproduce(work, judge)
        assert json.loads(json.dumps(outcome.result, allow_nan=False)) == outcome.result
        return outcome

    return done
