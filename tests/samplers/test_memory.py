"""A walk holds one pass's memory, however many steps it takes."""

import resource

import pytest
import torch

from jemstone.functional.balls import Linf
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, SGLD, away_from_label

WALKS = {
    "pgd": lambda steps: PGD(Linf(0.1), steps, 0.01, potential=away_from_label),
    "sgld": lambda steps: SGLD(steps, 0.1, 0.01),
    "pyld-loop": lambda steps: PYLD(steps, 2, 0.1, fold=False),
}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("norm", ["batch", "group"])  # frozen while it walks, and as it is
@pytest.mark.parametrize("walk", WALKS)
def test_memory_is_flat_in_the_steps(walk, norm):
    model = JointEnergyModel(WideResNet(3, 4, 10, 1, norm)).eval()
    x, y = torch.rand(32, 3, 16, 16), torch.arange(32) % 4
    WALKS[walk](3)(model, x, y, Generator(0))
    before = peak()
    WALKS[walk](20)(model, x, y, Generator(0))
    assert peak() <= 1.05 * before
