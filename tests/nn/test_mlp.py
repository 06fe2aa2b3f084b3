import pytest
import torch
from torch import nn

from jemstone import JointEnergyModel
from jemstone.errors import Mistake
from jemstone.functional.energies import energy, grad_x
from jemstone.nn import ARCHITECTURES, MLP, build
from jemstone.random import Generator
from jemstone.samplers import PYLD
from jemstone.samplers.langevin import is_affine


@pytest.mark.parametrize("activation", ["silu", "leaky-relu"])
@pytest.mark.parametrize(("depth", "width"), [(1, 4), (3, 16)])
@pytest.mark.parametrize(("channels", "classes"), [(2, 2), (5, 3)])
def test_every_point_has_one_logit_per_class_and_the_split_is_the_network(
    channels, classes, depth, width, activation
):
    network = MLP(channels, classes, depth, width, activation)
    x = torch.rand(6, channels, 1, 1)
    assert network(x).shape == (6, classes)
    stem, rest = network.split()
    assert torch.equal(rest(stem(x)), network(x))
    assert sum(isinstance(m, nn.Linear) for m in network.modules()) == depth + 1


def test_it_is_registered_and_built_again_from_its_configuration():
    network = MLP(2, 3, 2, 8)
    assert ARCHITECTURES["mlp"] is MLP
    again = build("mlp", network.config)
    again.load_state_dict(network.state_dict())
    x = torch.rand(4, 2, 1, 1)
    assert torch.equal(again(x), network(x))


def test_its_energy_is_smooth():
    """The gradient has finite differences of its own, at every point."""
    model = JointEnergyModel(MLP(2, 3, 3, 16), 0.5, 0.5).double()
    x = torch.rand(5, 2, 1, 1, dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 0, 1])
    h = torch.zeros_like(x)
    h[:, 0] = 1e-6
    slope = (model.energy(x + h, y) - model.energy(x - h, y)) / 2e-6
    torch.testing.assert_close(grad_x(energy, model, x, y)[:, 0, 0, 0], slope, rtol=1e-5, atol=1e-8)


def test_its_stem_is_affine_so_pyld_folds():
    model = JointEnergyModel(MLP(2, 3, 2, 8), 0.5, 0.5).double()
    assert is_affine(model.split()[0])
    x, y = torch.rand(6, 2, 1, 1, dtype=torch.float64), torch.arange(6) % 3
    folded, looped = (
        PYLD(3, 5, 0.1, 0.01, clip=0.05, fold=fold)(model, x, y, Generator(0))
        for fold in (True, False)
    )
    torch.testing.assert_close(folded, looped, rtol=0, atol=1e-12)
    assert (folded - x).abs().max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [((2, 2, 0), "at least one hidden layer"), ((2, 2, 1, 4, "sulu"), "did you mean 'silu'")],
)
def test_what_is_no_network_is_a_mistake(arguments, reason):
    with pytest.raises(Mistake, match=reason):
        MLP(*arguments)


def test_an_image_of_many_pixels_is_a_mistake_of_one_line():
    with pytest.raises(Mistake, match="one pixel") as told:
        MLP(1, 2)(torch.rand(2, 1, 8, 8))
    assert "\n" not in str(told.value)
