import math

import pytest
import torch

from jemstone.data import TOYS, fingerprint, load
from jemstone.functional.grid import centres, histogram, kl_divergence, log_masses, pooled
from jemstone.random import Generator

CELLS = 64


@pytest.fixture(params=TOYS, scope="module")
def name(request):
    return request.param


def densities(name):
    """p(x | y) at the centres of the cells, (n, n, 2)."""
    return TOYS[name].log_density(centres(CELLS).flatten(0, 1)).exp().reshape(CELLS, CELLS, 2)


def test_a_toy_is_a_set_of_two_channels_and_one_pixel(name):
    data = load(name)
    assert data.name == name
    assert data.shape == (2, 1, 1)
    assert (len(data.train), len(data.test), len(data.classes)) == (4000, 2000, 2)
    assert data.train.x.dtype == torch.float32
    assert not data.flip
    for split in (data.train, data.test):
        assert torch.bincount(split.y).tolist() == [len(split) // 2] * 2


def test_points_do_not_lie_on_a_lattice_of_bytes(name):
    x = load(name).train.x
    assert len(x.unique()) > 7900
    assert ((x * 255 - (x * 255).round()).abs() > 0.1).float().mean() > 0.7


def test_it_is_the_same_every_time_and_the_splits_share_no_point(name):
    data = load(name)
    assert fingerprint(load(name)) == fingerprint(data)
    both = torch.cat([data.train.x, data.test.x]).flatten(1)
    assert len(both.unique(dim=0)) == 6000


def test_the_toys_differ():
    assert len({fingerprint(load(name)) for name in TOYS}) == len(TOYS)


def test_a_density_is_one_over_the_box(name):
    mass = densities(name).mean(dim=(0, 1))
    assert mass.tolist() == pytest.approx([1.0, 1.0], abs=1e-6)


def test_a_class_is_the_other_turned_by_half(name):
    first, second = densities(name).unbind(dim=-1)
    torch.testing.assert_close(first, second.flip(0, 1), rtol=1e-9, atol=0)


def test_draws_have_the_density(name):
    n, bins = 20_000, 8
    y = torch.zeros(n, dtype=torch.int64)
    x = TOYS[name].draw(y, Generator(3)).flatten(1)
    target = pooled(log_masses(densities(name)[..., 0].log()), bins)
    chi_squared = 2 * n * kl_divergence(histogram(x, bins), target)
    likely = int((target.exp() * n > 1).sum()) - 1
    assert chi_squared < likely + 6 * math.sqrt(2 * likely)


def test_the_density_is_that_of_a_finer_quadrature(name):
    toy, points = TOYS[name], load(name).test.x[:50].flatten(1).double()
    t = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    exponents = -torch.cdist(points, 0.5 + toy.curve(t)).square() / (2 * toy.noise**2)
    finer = exponents.logsumexp(dim=1) - math.log(20_000 * 2 * math.pi * toy.noise**2)
    torch.testing.assert_close(toy.log_density(points)[:, 0], finer, rtol=0, atol=1e-4)


def test_a_point_is_drawn_by_its_number_alone(name):
    y = torch.tensor([0, 1, 1, 0])
    whole = TOYS[name].draw(y, Generator(0))
    some = torch.tensor([2, 3])
    assert torch.equal(whole[some], TOYS[name].draw(y[some], Generator(0).at(some)))
