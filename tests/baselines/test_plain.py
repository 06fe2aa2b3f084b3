"""The plain baseline computes what the library computes: what differs between them is time."""

import numpy as np
import pytest
import torch

from jemstone.baselines.plain import (
    PlainAttack,
    PlainDraws,
    PlainTraining,
    PlainWalk,
    plain_gaussians,
)
from jemstone.baselines.plain_data import PlainImages, plain_statistics
from jemstone.baselines.plain_network import PlainWideResNet
from jemstone.functional.balls import Linf
from jemstone.functional.energies import towards_label
from jemstone.functional.gaussian import draw_gaussian
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.objectives import AdversarialCrossEntropy, CrossEntropy, MaximumLikelihood, Sum
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, ClassGaussian, Persistent, ReplayBuffer, away_from_label
from jemstone.types import Batch

SHAPE, CLASSES, BATCH = (3, 8, 8), 4, 6
NOISE, EPS = 0.015, 0.05


def to_box(x):
    """Turn pixels in [0, 1] into the papers' [-1, 1]."""
    return 2 * x - 1


def in_double(init):
    """The class Gaussian's own draws, computed in float64: there rounding hides nothing."""

    def draw(y, generator):
        normal = generator.normal((len(y), init.factors.shape[2]), dtype=torch.float64)
        x = draw_gaussian(init.means.double(), init.factors.double(), y, normal)
        return x.clamp(0, 1).reshape(-1, *SHAPE)

    return draw


class HouseDraws(PlainDraws):
    """The library's draws of an iteration, handed to the plain code."""

    def __init__(self, init, generator):
        self.gaussians = plain_gaussians(init.means, init.factors)
        self.init = in_double(init)
        likelihood = generator.fold(0)
        self.of_labels, self.of_sampler = likelihood.fold("labels"), likelihood.fold("sampler")
        self.of_attack = generator.fold(1).fold("start")

    def labels(self, batch):
        return self.of_labels.integers(batch, CLASSES)

    def slots(self, y, per_class):
        draws = self.of_sampler.fold("draw").fold("slot").integers(len(y), per_class)
        return y * per_class + draws

    def starts(self, y):
        return to_box(self.init(y, self.of_sampler.fold("draw").fold("init")))

    def renewed(self, batch, share):
        draws = self.of_sampler.fold("draw").fold("renew").uniform((batch, 1))[:, 0]
        return (draws < share).double()

    def attack_start(self, x, eps):
        start = x + 2 * Linf(eps / 2).sample(x / 2, self.of_attack)
        return start.clamp(-1, 1)


@pytest.fixture(params=["batch", "none"])
def pair(request):
    """The same weights twice, in float64: house and plain."""
    house = WideResNet(3, CLASSES, depth=10, width=1, norm=request.param)
    plain = PlainWideResNet(3, CLASSES, depth=10, width=1, norm=request.param)
    plain.load_state_dict(house.state_dict())
    return JointEnergyModel(house, mean=0.5, std=0.5).double(), plain.double()


@pytest.fixture
def init(generator):
    images = generator.fold("data").uniform((40, *SHAPE))
    return ClassGaussian.fit(images, torch.arange(40) % CLASSES)


@pytest.mark.parametrize("attacked", [False, True])
def test_an_iteration_has_the_losses_gradients_and_chains_of_the_library(
    attacked, pair, init, generator
):
    house, plain = pair
    house.train()
    buffer = ReplayBuffer(in_double(init), 400, CLASSES, 0.5, generator.fold("buffer"))
    chains, draws = to_box(buffer.images), HouseDraws(init, generator)
    walk = PYLD(3, 5, 0.05, clip=2.0, mode="batch", potential=lambda m, x, y: m.energy(x))
    attack = PGD(Linf(EPS), 3, 0.02, potential=away_from_label, random_start=True)
    fit = AdversarialCrossEntropy(attack) if attacked else CrossEntropy(NOISE)
    contrast = MaximumLikelihood(Persistent(buffer, walk), CLASSES, NOISE)
    x = generator.fold("x").uniform((BATCH, *SHAPE), dtype=torch.float64)
    y = torch.arange(BATCH) % CLASSES

    loss = Sum((1.0, contrast), (1.0, fit))(house, Batch(x, y), generator)
    loss.value.backward()

    def noisy(stream):
        return to_box(x + NOISE * stream.normal(x.shape, dtype=x.dtype))

    optimiser = torch.optim.SGD(plain.parameters(), lr=0.0)
    training = PlainTraining(
        plain.train(),
        optimiser,
        draws,
        chains,
        PlainAttack(2 * EPS, 0.04, 3) if attacked else None,
        0.5,
        PlainWalk(3, 5, 0.2, 1.0),
    )
    data = noisy(generator.fold(0).fold("noise"))
    terms = training.iteration(data, to_box(x) if attacked else noisy(generator.fold(1)), y)

    value = loss.terms["adversarial_ce" if attacked else "ce"]
    assert terms["fit"] == pytest.approx(float(value), rel=1e-9)
    assert terms["likelihood"] == pytest.approx(float(loss.terms["likelihood"]), rel=1e-6, abs=1e-9)
    for (name, p), q in zip(house.classifier.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-6, atol=1e-9, msg=name)
    torch.testing.assert_close(to_box(buffer.images), chains)


@pytest.mark.parametrize("clamp", [True, False])
def test_painting_and_walking_from_scratch_agree(clamp, pair, generator):
    house, plain = (part.eval() for part in pair)
    x, y = generator.uniform((BATCH, *SHAPE), dtype=torch.float64), torch.arange(BATCH) % CLASSES
    painted = PGD(Linf(EPS), 4, 0.02, potential=towards_label)(house, x, y, generator)
    by_plain = PlainAttack(2 * EPS, 0.04, 4, targeted=True)(plain, to_box(x), y, to_box(x))
    torch.testing.assert_close(to_box(painted), by_plain)
    walk = PYLD(3, 5, 0.05, clip=2.0, bounds=(0.0, 1.0) if clamp else None)
    by_plain = PlainWalk(3, 5, 0.2, 1.0, clamp)(plain, to_box(painted), y)
    torch.testing.assert_close(to_box(walk(house, painted, y, generator)), by_plain)


def test_starts_are_those_of_the_class_gaussian(init):
    torch.manual_seed(0)
    draws = PlainDraws(plain_gaussians(init.means, init.factors), SHAPE)
    starts = draws.starts(torch.ones(300, dtype=torch.int64))
    mean = init(torch.ones(300, dtype=torch.int64), Generator(0)).mean(dim=0)
    torch.testing.assert_close(starts.mean(dim=0), to_box(mean), rtol=0, atol=0.3)
    assert -1 <= starts.min() <= starts.max() <= 1


def test_images_are_moved_one_by_one_and_statistics_are_the_usual(generator):
    pixels = (255 * generator.uniform((5, 8, 8, 3))).byte().numpy()
    data = PlainImages(pixels, np.arange(5), padding=2, noise=0.0)
    x, y = data[3]
    assert (x.shape, y, len(data)) == ((3, 8, 8), 3, 5)
    assert -1 <= x.min() <= x.max() <= 1
    means = [float(data[3][0].mean()) for _ in range(8)]
    assert len(set(means)) > 1  # each look moves the image anew
    features = generator.normal((30, 3)).numpy()
    mean, covariance = plain_statistics(features)
    assert (mean.shape, covariance.shape) == ((3,), (3, 3))
