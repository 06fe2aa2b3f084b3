"""The conversion law: the paper's walk on u = 2 x - 1 is the converted walk on x.

The side of [-1, 1] is written here plainly, by the papers' formulas, without the library's walks.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jemstone import JointEnergyModel
from jemstone.functional.balls import L2, Linf
from jemstone.functional.energies import away_from_label, energy, grad_x, towards_label
from jemstone.functional.gaussian import draw_gaussian, fit_gaussian
from jemstone.recipes.units import (
    UNITS,
    Constant,
    clip,
    jitter,
    length,
    pivot,
    raw_step,
    same,
)
from jemstone.samplers import PGD, PYLD, SGLD, ReduceContrast

PIXELS = (1, 4, 4)


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, h):
        return self.factor * h


class Network(nn.Module):
    """f on [-1, 1], steep enough for walks to go somewhere."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, kernel_size=3, padding=1)
        self.rest = nn.Sequential(nn.Softplus(), nn.Flatten(), nn.Linear(64, 3), Times(5.0))

    def split(self):
        return self.stem, self.rest

    def forward(self, u):
        return self.rest(self.stem(u))


@pytest.fixture
def f():
    return Network().double().eval()


@pytest.fixture
def model(f):
    """The same network, read on [0, 1]: it sees (x - 1/2) / (1/2) = u."""
    return JointEnergyModel(f, mean=0.5, std=0.5)


def to_u(x):
    return 2 * x - 1


def E(f, u, y):
    logits = f(u)
    return -torch.logsumexp(logits, dim=1) if y is None else -logits[range(len(u)), y]


def gradient(U, u):
    u = u.detach().requires_grad_()
    return torch.autograd.grad(U(u).sum(), u)[0]


def noise(generator, t, u):
    """Draw the walk's own noise of step t."""
    return generator.fold(t).normal(u.shape, dtype=u.dtype)


def agree(x, u):
    torch.testing.assert_close(to_u(x), u, rtol=0, atol=1e-10)


@pytest.mark.parametrize("step", [1.0, 0.1])
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("conditional", [True, False])
def test_sgld(step, sigma, box, conditional, f, model, images, labels, generator):
    y = labels if conditional else None
    bounds = (0.0, 1.0) if box else None
    x = SGLD(20, raw_step(step), length(sigma), bounds=bounds)(model, images, y, generator)
    u = to_u(images)
    for t in range(20):
        u = u - step * gradient(lambda u: E(f, u, y), u) + sigma * noise(generator, t, u)
        u = u.clamp(-1, 1) if box else u
    agree(x, u)
    assert (x - images).abs().max() > 0.05


@pytest.mark.parametrize("largest", [None, 1.0, 0.05])
@pytest.mark.parametrize("sigma", [0.0, 0.01])
@pytest.mark.parametrize("box", [True, False])
@pytest.mark.parametrize("fold", [True, False])
def test_pyld(largest, sigma, box, fold, f, model, images, labels, generator):
    bounds = (0.0, 1.0) if box else None
    walk = PYLD(10, 5, raw_step(0.2), length(sigma), clip=clip(largest), bounds=bounds, fold=fold)
    x = walk(model, images, labels, generator)
    u, (stem, rest) = to_u(images), f.split()
    for t in range(10):
        p = gradient(lambda h: E(rest, h, labels), stem(u))
        for k in range(5):
            g = gradient(lambda u, p=p: (stem(u) * p).flatten(1).sum(dim=1), u)
            u = u - 0.2 * (g if largest is None else g.clamp(-largest, largest))
            u = u + sigma * noise(generator, t, u) if k == 4 else u
            u = u.clamp(-1, 1) if box else u
    agree(x, u)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("eps", "step"), [(0.1, 0.03), (0.5, 0.2), (8 / 255, 2 / 255)])
@pytest.mark.parametrize(("potential", "sign"), [(towards_label, 1), (away_from_label, -1)])
def test_pgd(norm, eps, step, potential, sign, f, model, images, labels, generator):
    ball = (Linf if norm == "linf" else L2)(length(eps))
    x = PGD(ball, 7, length(step), potential=potential)(model, images, labels, generator)
    origin = u = to_u(images)
    for _ in range(7):
        g = sign * gradient(lambda u: F.cross_entropy(f(u), labels, reduction="none"), u)
        if norm == "linf":
            u = u - step * g.sign()
            u = torch.minimum(torch.maximum(u, origin - eps), origin + eps)
        else:
            u = u - step * g / g.flatten(1).norm(dim=1)[:, None, None, None]
            size = (u - origin).flatten(1).norm(dim=1)[:, None, None, None]
            u = torch.where(size > eps, origin + (u - origin) * eps / size, u)
        u = u.clamp(-1, 1)
    agree(x, u)


@pytest.mark.parametrize("factor", [0.5, 0.8])
@pytest.mark.parametrize("center", [0.0, -1.0, 0.3])
def test_contrast(factor, center, images):
    u = center + factor * (to_u(images) - center)
    agree(ReduceContrast(factor, pivot(center)).apply(images), u)
    assert pivot(0) == 0.5


def test_jitter():
    """Fitted in float64 and kept in float32, so equal to the latter's rounding."""
    x, labels = torch.rand(40, *PIXELS, dtype=torch.float64), torch.arange(40) % 2
    y, normal = torch.arange(2).repeat(5), torch.randn(10, 16)
    draws = draw_gaussian(*fit_gaussian(x, labels, 2, jitter(1e-2)), y, normal)
    for k in range(2):
        u = to_u(x[labels == k].flatten(1).numpy())
        factor = np.linalg.cholesky(np.cov(u, rowvar=False) + 1e-2 * np.eye(16))
        expected = u.mean(axis=0) + normal[y == k].numpy() @ factor.T
        np.testing.assert_allclose(to_u(draws[y == k]), expected, atol=2e-5)


def test_data_noise_and_random_starts_are_lengths(images, generator):
    n = generator.normal(images.shape, dtype=images.dtype)
    agree(images + length(0.03) * n, to_u(images) + 0.03 * n)
    start = Linf(length(0.1)).sample(images, generator)
    assert 0.09 < (2 * start).abs().max() <= 0.1


def test_a_gradients_norm_is_doubled(f, model, images, labels):
    on_x = grad_x(energy, model, images, labels).flatten(1).norm(dim=1)
    on_u = gradient(lambda u: E(f, u, labels), to_u(images)).flatten(1).norm(dim=1)
    torch.testing.assert_close(on_x, 2 * on_u)


@pytest.mark.parametrize(("step", "sigma"), [(1.0, 0.01), (0.2, 0.03), (0.02, 0.2)])
def test_the_temperature_stays(step, sigma):
    quoted = sigma**2 / (2 * step)
    assert length(sigma) ** 2 / (2 * raw_step(step)) == pytest.approx(quoted)
    walk = SGLD(1, raw_step(step), temperature=quoted)
    assert walk.noise == pytest.approx(length(sigma))
    assert math.isclose(2 * walk.noise, sigma)


@pytest.mark.parametrize(
    ("unit", "quoted", "ours"),
    [
        (raw_step, 1.0, 0.25),  # JEM's step
        (length, 0.01, 0.005),  # and noise
        (raw_step, 0.2, 0.05),  # JEM++'s inner step
        (clip, 1.0, 2.0),  # and clip
        (length, 0.03, 0.015),  # and data noise
        (jitter, 1e-4, 2.5e-5),  # and jitter
        (length, 0.1, 0.05),  # Robust JEM's radius
        (clip, None, None),
        (pivot, -1.0, 0.0),
        (pivot, 1.0, 1.0),
        (same, 15, 15),
    ],
)
def test_the_papers_constants(unit, quoted, ours):
    converted = Constant("walk", quoted, "paper", unit).value
    assert converted == (ours if ours is None else pytest.approx(ours))
    assert unit in UNITS
