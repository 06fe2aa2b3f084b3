"""A walk holds one pass's memory, however many steps it takes."""

import re
from pathlib import Path

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


ITSELF = Path("/proc/self")


def peak_of(call):
    """Return the most memory that this process had meanwhile, in kB."""
    try:
        (ITSELF / "clear_refs").write_text("5")  # forget the peak of what was before
    except OSError:
        pytest.skip("this system does not let a process forget its peak memory")
    call()
    return int(re.search(r"VmHWM:\s+(\d+)", (ITSELF / "status").read_text())[1])


@pytest.mark.parametrize("norm", ["batch", "group"])  # frozen while it walks, and as it is
@pytest.mark.parametrize("walk", WALKS)
def test_memory_is_flat_in_the_steps(walk, norm):
    model = JointEnergyModel(WideResNet(3, 4, 10, 1, norm)).eval()
    x, y = torch.rand(32, 3, 16, 16), torch.arange(32) % 4
    few, many = (
        peak_of(lambda steps=steps: WALKS[walk](steps)(model, x, y, Generator(0)))
        for steps in (3, 20)
    )
    assert many <= 1.05 * few
