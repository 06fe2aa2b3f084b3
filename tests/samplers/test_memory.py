"""A walk holds one pass's memory, however many steps it takes.

Measured in a process of its own: one that has run other tests has so much memory to spare that no
walk needs more.
"""

import json
import subprocess
import sys

import pytest
import torch

from jemstone.experiments.reproduction.peak import read_peak, reset_peak
from jemstone.functional.balls import Linf
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, SGLD, away_from_label
from jemstone.training import Device

WALKS = {
    "pgd": lambda steps: PGD(Linf(0.1), steps, 0.01, potential=away_from_label),
    "sgld": lambda steps: SGLD(steps, 0.1, 0.01),
    "pyld-loop": lambda steps: PYLD(steps, 2, 0.1, fold=False),
}
NORMS = ("batch", "group")  # frozen while it walks, and as it is


def peak_of(walk, model):
    """Return the most memory that this process had while walking, in bytes."""
    x, y = torch.rand(32, 3, 16, 16), torch.arange(32) % 4
    forgotten = reset_peak(Device())
    walk(model, x, y, Generator(0))
    return read_peak(Device(), forgotten)


def measure():
    """Return the peaks of a short walk and of a long one, by walk and norm."""
    models = {norm: JointEnergyModel(WideResNet(3, 4, 10, 1, norm)).eval() for norm in NORMS}
    return {
        f"{walk} {norm}": [peak_of(WALKS[walk](steps), model) for steps in (3, 20)]
        for norm, model in models.items()
        for walk in WALKS
    }


@pytest.fixture(scope="module")
def peaks():
    if not reset_peak(Device()):
        pytest.skip("this system does not let a process forget its peak memory")
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("walk", WALKS)
def test_memory_is_flat_in_the_steps(walk, norm, peaks):
    few, many = peaks[f"{walk} {norm}"]
    assert many <= 1.05 * few


if __name__ == "__main__":
    print(json.dumps(measure()))
