"""A walk is followed as it is drawn, and on."""

import itertools

import pytest
import torch

from jemstone.errors import Mistake
from jemstone.functional.balls import Linf
from jemstone.metrics import Moment, effective_temperature, follow, walk_figures
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, SGLD, Clamp, ReduceContrast, Sampler, Uniform

SHAPE = (1, 4, 4)
Y = torch.arange(6) % 3


def sampler(walk):
    attack = PGD(Linf(0.1), 2, 0.05)
    return Sampler(Uniform(SHAPE), attack, ReduceContrast(0.8), walk, Clamp())


WALKS = {
    "SGLD": SGLD(4, 0.05, 0.01, bounds=None),
    "PYLD": PYLD(4, 3, 0.02, 0.01, clip=1.0),
    "batch": SGLD(4, 0.05, 0.0, mode="batch"),
}


@pytest.mark.parametrize("walk", WALKS)
def test_a_longer_walk_begins_as_the_sampler_draws(walk, normed, traces):
    made, before = sampler(WALKS[walk]), traces(normed)
    drawn = made(normed, Y, Generator(3))
    moments = follow(normed, made, Y, Generator(3), [0, 2, 4, 40])
    assert torch.equal(moments[2].x, drawn)
    assert [moment.step for moment in moments] == [0, 2, 4, 40]
    assert traces(normed) == before


def test_a_network_is_followed_as_it_is_walked():
    torch.manual_seed(0)
    model = JointEnergyModel(WideResNet(1, 3, 10, 1, "batch")).eval()
    made = Sampler(Uniform((1, 8, 8)), SGLD(3, 0.05, 0.01, bounds=None), Clamp())
    last = follow(model, made, Y, Generator(3), [0, 3])[-1]
    x = made(model, Y, Generator(3))
    assert torch.equal(last.x, x)
    assert not model.training


def test_pixels_that_are_no_numbers_are_not_inside():
    x = torch.tensor([0.5, 0.0, 1.0, float("nan")]).reshape(1, 1, 2, 2)
    still = torch.zeros(1)
    assert walk_figures([[Moment(0, x, still, still, still)]])[0]["at_bounds"] == 0.75


def test_the_way_is_at_least_as_long_as_the_distance(normed):
    rows = walk_figures([follow(normed, sampler(WALKS["SGLD"]), Y, Generator(0), [0, 1, 5, 9])])
    assert (rows[0]["displacement"], rows[0]["path"]) == (0, 0)
    assert rows[1]["path"] == pytest.approx(rows[1]["displacement"])
    for before, row in itertools.pairwise(rows):
        assert row["path"] > before["path"]
        assert row["path"] >= row["displacement"]


def test_descent_of_a_quadratic_is_known(quadratic):
    """x <- (1 - a) x, so E falls by (1 - a)^2 a step and all pixels stay inside."""
    made = Sampler(Uniform(SHAPE), SGLD(3, 0.1, 0.0))
    moments = follow(quadratic(), made, Y, Generator(0), [0, 1, 3, 6])
    start = moments[0]
    for moment in moments:
        factor = 0.9**moment.step
        torch.testing.assert_close(moment.x, factor * start.x)
        torch.testing.assert_close(moment.energy, factor**2 * start.energy)
        rms = start.x.flatten(1).square().mean(dim=1).sqrt()
        torch.testing.assert_close(moment.displacement, (1 - factor) * rms)
        torch.testing.assert_close(moment.path, (1 - factor) * rms)


def test_batches_are_put_together(quadratic):
    made = Sampler(Uniform(SHAPE), SGLD(3, 0.1, 0.01))
    whole = walk_figures([follow(quadratic(), made, Y, Generator(0), [0, 3])])
    parts = [
        follow(quadratic(), made, Y[places], Generator(0).at(places), [0, 3])
        for places in torch.arange(6).split(4)
    ]
    for row, other in zip(whole, walk_figures(parts), strict=True):
        assert row == pytest.approx(other)


def test_saturation_is_the_share_at_the_bounds(quadratic):
    made = Sampler(Uniform(SHAPE), SGLD(1, -1.0, 0.0))  # uphill: every pixel doubles
    rows = walk_figures([follow(quadratic(), made, Y, Generator(0), [0, 1, 60])])
    assert rows[0]["at_bounds"] == 0
    assert 0.4 < rows[1]["at_bounds"] < 0.6
    assert rows[2]["at_bounds"] == 1


@pytest.mark.parametrize(
    ("walk", "temperature"),
    [
        (SGLD(1, 0.25, temperature=2e-3), 2e-3),
        (SGLD(1, 0.25, 0.005), 5e-5),  # JEM's
        (PYLD(1, 5, 0.05, 0.1), 0.02),
        (PYLD(1, 5, 0.05), 0),
    ],
)
def test_the_temperature_is_that_of_the_noise(walk, temperature):
    assert effective_temperature(walk) == pytest.approx(temperature)


@pytest.mark.parametrize("step_size", [0.0, -1.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_walk_that_does_not_descend_has_no_temperature(step_size, noise):
    with pytest.raises(Mistake, match="no temperature"):
        effective_temperature(SGLD(1, step_size, noise))


@pytest.mark.parametrize("steps", [[], [3, 1], [-1, 2], [1, 1]])
def test_steps_grow(quadratic, steps):
    with pytest.raises(Mistake, match="steps"):
        follow(quadratic(), sampler(WALKS["SGLD"]), Y, Generator(0), steps)


def test_an_attack_is_no_walk_on_an_energy(quadratic):
    made = Sampler(Uniform(SHAPE), PGD(Linf(0.1), 2, 0.05))
    with pytest.raises(Mistake, match="does not walk"):
        follow(quadratic(), made, Y, Generator(0), [1])
