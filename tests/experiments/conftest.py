from types import SimpleNamespace

import pytest
import torch
from torch import nn

from jemstone.experiments import Settings
from jemstone.experiments.sight import Eyes
from jemstone.metrics import look, nearest_to
from jemstone.model import JointEnergyModel
from jemstone.samplers import PYLD, Sampler, Uniform
from jemstone.training import Device, Processes
from jemstone.types import Generator


class Eye:
    """A judge that sees pixels."""

    name, sha256, knows_classes = "eye", "0" * 64, True

    def __call__(self, x):
        return x.flatten(1)[:, ::4], x.flatten(1)[:, 16:26]


@pytest.fixture(scope="session")
def eye():
    return Eye()


class Precipice(nn.Module):
    """Ten logits, larger for darker images; below a mean of a fifth there are none."""

    def forward(self, x):
        return -torch.sqrt(x.mean(dim=(1, 2, 3)) - 0.2)[:, None].expand(-1, 10)


@pytest.fixture
def precipice(digits, eye):
    """Return a case whose walks, of three steps of a size each, lead downhill to the precipice."""
    held_out, learnt = look(digits.test, eye), look(digits.train.first(100), eye)

    def case(sizes):
        def sampler(name):
            step_size = sizes if isinstance(sizes, float) else sizes[name]
            walk = PYLD(outer=3, inner=1, step_size=step_size, bounds=None)
            return Sampler(Uniform((1, 8, 8)), walk)

        return SimpleNamespace(
            run=SimpleNamespace(sampler=sampler, classes=10, chains=lambda: None),
            model=JointEnergyModel(Precipice()).eval(),
            data=digits,
            settings=Settings("full", count=40),
            generator=Generator(0),
            device=Device(),
            eyes=Eyes(eye, held_out, learnt, nearest_to(learnt, held_out)),
            processes=Processes(),
            progress=lambda line: None,
        )

    return case
