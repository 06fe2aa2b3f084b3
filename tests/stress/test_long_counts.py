"""The laws of the house over many draws: `make stress`."""

import pytest
import torch
from torch import nn

from jemstone.model import JointEnergyModel
from jemstone.random import Generator
from jemstone.samplers import PYLD, SGLD

pytestmark = pytest.mark.stress


class Bowl:
    """``U = |x|^2 / 2``, image by image."""

    def logits(self, x):
        return -x.square().flatten(1).sum(dim=1, keepdim=True) / 2

    def energy(self, x, y=None):
        return -self.logits(x)[:, 0]


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 1.5])
def test_the_stationary_variance_of_langevin(alpha, temperature):
    chains = 400_000
    walk = SGLD(int(40 / alpha), alpha, temperature=temperature, bounds=None)
    x = walk(Bowl(), torch.zeros(chains, 1, 1, 1), None, Generator(0))
    expected = temperature / (1 - alpha / 2)
    assert float(x.var()) == pytest.approx(expected, rel=5 * (2 / chains) ** 0.5)


@pytest.mark.parametrize("seed", range(200))
def test_the_fold_is_the_loop(seed):
    """Random networks, walks and starts; from inside the box, or without one."""
    torch.manual_seed(seed)
    stem = nn.Conv2d(2, 5, 3, padding=1)
    rest = nn.Sequential(nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(5 * 16, 4))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.rest = stem, rest

        def split(self):
            return self.stem, self.rest

        def forward(self, x):
            return self.rest(self.stem(x))

    model = JointEnergyModel(Net(), 0.5, 0.5).double()
    draws = torch.rand(4).tolist()
    options = {
        "outer": 1 + seed % 4,
        "inner": 2 + seed % 7,
        "step_size": 2 * draws[0],
        "noise": draws[1] * (seed % 2),
        "clip": None if seed % 3 else draws[2],
        "bounds": (0.0, 1.0) if seed % 5 else None,
    }
    x = torch.rand(6, 2, 4, 4, dtype=torch.float64)
    y = torch.arange(6) % 4
    folded = PYLD(**options)(model, x, y, Generator(seed))
    looped = PYLD(**options, fold=False)(model, x, y, Generator(seed))
    torch.testing.assert_close(folded, looped, rtol=0, atol=1e-10)


def test_a_million_normals_have_the_moments_of_one():
    draws = Generator(1).normal((1000, 1000)).double()
    count = draws.numel()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((draws**power).mean()) - moment) < 5 * (variance / count) ** 0.5
