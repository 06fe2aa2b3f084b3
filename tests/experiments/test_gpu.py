"""What is promised of a processor holds on a GPU. `python -m pytest -m gpu` asks one."""

import pytest
import torch

from jemstone.experiments import Run, begin
from jemstone.functional.balls import Linf
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator
from jemstone.recipes import PAPERS, changed, recipe_for
from jemstone.samplers import PGD, PYLD, SGLD, away_from_label
from jemstone.training import Interrupted, Quiet, choose_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]
WALKS = {
    "pgd": PGD(Linf(0.1), 4, 0.03, potential=away_from_label),
    "sgld": SGLD(4, 0.1, 0.01),
    "pyld, folded": PYLD(3, 5, 0.05, clip=2.0),
    "pyld, looped": PYLD(3, 5, 0.05, clip=2.0, fold=False),
}
NAME = "cuda"


class StopsAt(Quiet):
    """Wants to stop after so many steps."""

    def __init__(self, steps):
        self.left = steps

    def wants_stop(self):
        self.left -= 1
        return self.left == 0


@pytest.fixture
def device():
    return choose_device(NAME)


@pytest.fixture
def begun(digits, device, tmp_path):
    def run(name, recipe):
        fields = {
            "optimisation.steps": 4,
            "optimisation.batch_size": 32,
            "network.architecture": "wide-resnet",
            "network.depth": 10,
            "network.width": 1,
            "chains.size": 50,
            "walk.steps": 2,
        }
        recipe = changed(recipe_for(recipe, "digits", "quick"), fields)
        return begin(tmp_path / name, recipe, digits, device=device)

    return run


def weights(run):
    return run.model().state_dict()


def same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name].cpu(), other[name].cpu()) for name in one)


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_randomness_is_the_processors(draw):
    here = getattr(Generator(7).fold("x"), draw)((33, 5), device=NAME)
    torch.testing.assert_close(here.cpu(), getattr(Generator(7).fold("x"), draw)((33, 5)))


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_walk_in_float32_is_the_processors(walk, norm, device):
    model = JointEnergyModel(WideResNet(3, 4, 10, 1, norm), 0.5, 0.5).eval()
    x, y = Generator(1).uniform((8, 3, 16, 16)), torch.arange(8) % 4
    expected = WALKS[walk](model, x, y, Generator(2))
    there = model.to(device.name)
    found = WALKS[walk](there, x.to(device.name), y.to(device.name), Generator(2)).cpu()
    # Where a gradient is a hair from zero, its sign is anybody's.
    assert ((found - expected).abs() > 1e-3).double().mean() < 0.01


@pytest.mark.parametrize("recipe", PAPERS)
def test_the_same_run_twice_is_the_same_and_so_is_a_resumed_one(recipe, begun, digits):
    whole, again, stopped = (begun(name, recipe) for name in ("whole", "again", "stopped"))
    whole.train(digits)
    again.train(digits)
    same(weights(whole), weights(again))
    with pytest.raises(Interrupted):
        stopped.train(digits, StopsAt(2))
    Run.open(stopped.path).train(digits)
    same(weights(whole), weights(Run.open(stopped.path)))
