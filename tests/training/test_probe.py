import pytest
import torch

from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator
from jemstone.samplers import ReplayBuffer, Uniform
from jemstone.training.probe import outliers, probe
from jemstone.types import Batch

SHAPE = (1, 4, 4)


@pytest.fixture
def model():
    return JointEnergyModel(WideResNet(1, 3, depth=10, width=1, norm="batch")).train()


@pytest.fixture
def chains():
    return ReplayBuffer(Uniform(SHAPE), 300, 3, 0.1, Generator(1))


@pytest.fixture
def batch():
    x = torch.zeros(8, *SHAPE)
    x[:, :, :2] = 0.5  # half of the pixels are black
    return Batch(x, torch.arange(8) % 3)


def test_a_probe_leaves_everything_as_it_was(model, chains, batch, traces):
    before, images = traces(model), chains.images.clone()
    probe(model, batch, chains)
    assert traces(model) == before
    assert torch.equal(chains.images, images)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_shares_are_those_of_the_chains(share, model, chains, batch):
    dead = int(share * len(chains))
    order = Generator(3).permutation(len(chains))[:dead]
    chains.images[order] = 1.0
    found = probe(model, batch, chains)
    assert found["saturated_data"] == 0.5
    assert found["saturated_chains"] == pytest.approx(share, abs=0.05)
    assert found["dead_chains"] == pytest.approx(share, abs=0.05)


def test_the_gap_is_that_of_the_energies_in_eval_mode(model, chains, batch):
    model.eval()
    chains.images = chains.images[:90].clone()
    found = probe(model, batch, chains)
    with torch.no_grad():
        expected = model.energy(batch.x).mean() - model.energy(chains.images).mean()
    assert found["energy_gap"] == pytest.approx(float(expected), abs=1e-5)
    assert "energy_gap" not in probe(model, batch, None)


@pytest.mark.parametrize(
    ("energies", "far"),
    [
        ([0.0, 1.0, 2.0, 3.0, 4.0], []),
        ([0.0, 1.0, 2.0, 3.0, 400.0], [4]),
        ([0.0, -1e4, 2.0, 3.0, 4.0, float("nan"), float("inf")], [1, 5, 6]),
        ([2.0, 2.0, 2.0, 2.0], []),
        ([2.0, 2.0, 2.0, 2.5], [3]),
        ([float("nan")] * 3, [0, 1, 2]),
    ],
)
def test_outliers_are_far_from_the_others_or_not_finite(energies, far):
    assert outliers(torch.tensor(energies)).nonzero().flatten().tolist() == far
