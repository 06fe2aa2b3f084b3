"""Samplers held to a density that is known: mixtures of Gaussians, as the logits of a classifier.

With logits f(x)[k] = log w_k N(x; m_k, s^2 I), p(x) = exp(-E(x)) is the mixture, and p(x | y = k)
its part k. What a sampler draws is compared by its histogram, beside as many exact draws.
"""

import math

import pytest
import torch
from torch import nn

from jemstone import JointEnergyModel
from jemstone.functional.energies import energy, marginal
from jemstone.functional.grid import (
    centres,
    draw_points,
    histogram,
    kl_divergence,
    log_masses,
    log_partition,
    pooled,
)
from jemstone.random import Generator
from jemstone.samplers import PYLD, SGLD

CELLS, BINS, CHAINS = 96, 12, 4000
MEANS = torch.tensor([[0.4, 0.45], [0.6, 0.45], [0.5, 0.6]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
SPREAD = 0.08
STEP = 0.05 * SPREAD**2


class Mixture(nn.Module):
    def forward(self, x):
        distances = (x.flatten(1)[:, None] - MEANS).square().sum(dim=-1)
        constant = SHARES.log() - math.log(2 * math.pi * SPREAD**2)
        return constant - distances / (2 * SPREAD**2)


MODEL = JointEnergyModel(Mixture())


def target(y=None):
    points = centres(CELLS).flatten(0, 1)
    labels = None if y is None else torch.full((len(points),), y)
    return MODEL.energy(points[:, :, None, None], labels).reshape(CELLS, CELLS)


def distance(x, log_p):
    return kl_divergence(histogram(x.flatten(1), BINS), pooled(log_p, BINS))


def walked(walk, y=None):
    """Walk from uniform draws on the box."""
    x = Generator(1).uniform((CHAINS, 2, 1, 1), dtype=torch.float64)
    labels = None if y is None else torch.full((CHAINS,), y)
    return walk(MODEL, x, labels, Generator(2))


def exact(log_p):
    return distance(draw_points(log_p, Generator(3).uniform((CHAINS, 3))), log_p)


def test_the_mixture_is_normalised():
    assert log_partition(target()) == pytest.approx(0, abs=1e-5)


def test_true_langevin_samples_the_marginal():
    log_p = log_masses(-target())
    walk = SGLD(400, STEP, temperature=1.0, potential=marginal)
    assert distance(walked(walk), log_p) < 1.5 * exact(log_p)


@pytest.mark.parametrize("y", [0, 2])
def test_true_langevin_samples_a_class(y):
    log_p = log_masses(-target(y))
    x = walked(SGLD(150, STEP, temperature=1.0, potential=energy), y)
    assert distance(x, log_p) < 1.6 * exact(log_p)
    assert distance(x, log_masses(-target(1))) > 1


@pytest.mark.parametrize("T", [0.5, 2.0])
def test_another_temperature_samples_another_density(T):
    log_p = log_masses(-target(0) / T)
    x = walked(SGLD(150, STEP, temperature=T), 0)
    assert distance(x, log_p) < 1.6 * exact(log_p)
    assert distance(x, log_masses(-target(0))) > 5 * exact(log_masses(-target(0)))


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_a_coarse_step_samples_a_wider_density(alpha):
    """Of temperature 1 / (1 - alpha / 2), the step in units of the variance."""
    log_p = log_masses(-target(0) * (1 - alpha / 2))
    x = walked(SGLD(60, alpha * SPREAD**2, temperature=1.0), 0)
    assert distance(x, log_p) < 1.6 * exact(log_p)
    assert distance(x, log_masses(-target(0))) > 2 * exact(log_masses(-target(0)))


def test_a_walk_without_noise_samples_nothing_but_the_modes():
    """The papers' PYLD: it descends, and what it leaves is far from exp(-E)."""
    log_p = log_masses(-target())
    x = walked(SGLD(150, 3 * STEP, 0.0, potential=marginal))
    assert distance(x, log_p) > 1
    folded = walked(PYLD(30, 5, 2 * STEP, clip=2.0 / STEP, potential=marginal))
    assert distance(folded, log_p) > 1
