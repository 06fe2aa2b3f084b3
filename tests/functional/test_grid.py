"""Quadrature on the unit square has known answers, and a known error."""

import math

import pytest
import torch

from jemstone.functional.grid import (
    centres,
    draw_points,
    histogram,
    kl_divergence,
    log_masses,
    log_partition,
    pooled,
    total_variation,
)
from jemstone.random import Generator

MEAN, SIGMA = torch.tensor([0.4, 0.7], dtype=torch.float64), 0.15


def gaussian(cells):
    """E = |x - m|^2 / 2 s^2 at the centres of the cells."""
    return (centres(cells) - MEAN).square().sum(dim=-1) / (2 * SIGMA**2)


def log_normaliser():
    """Of the Gaussian on the box: a product of differences of the error function."""
    sides = [
        math.erf((1 - m) / SIGMA / math.sqrt(2)) + math.erf(m / SIGMA / math.sqrt(2))
        for m in MEAN.tolist()
    ]
    return math.log(2 * math.pi * SIGMA**2 * sides[0] / 2 * sides[1] / 2)


def table(*rows):
    return torch.tensor(rows, dtype=torch.float64).log()


@pytest.mark.parametrize("cells", [1, 7, 64])
@pytest.mark.parametrize("level", [-3.0, 0.0, 700.0])
def test_a_flat_energy_has_its_level_as_partition(cells, level):
    assert log_partition(torch.full((cells, cells), level)) == pytest.approx(-level, abs=1e-12)


def test_a_gaussian_has_its_closed_form_normaliser():
    assert log_partition(gaussian(256)) == pytest.approx(log_normaliser(), abs=1e-5)


def test_the_midpoint_rules_error_falls_as_the_square_of_the_cells():
    errors = [abs(log_partition(gaussian(n)) - log_normaliser()) for n in (32, 64, 128)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_an_energy_may_be_raised_without_moving_the_masses():
    torch.testing.assert_close(log_masses(-gaussian(16)), log_masses(500.0 - gaussian(16)))
    assert float(log_masses(-gaussian(16)).exp().sum()) == pytest.approx(1)


@pytest.mark.parametrize("cells", [1, 2, 4, 16])
def test_joined_cells_keep_the_mass_of_their_corner_of_the_square(cells):
    fine = log_masses(-gaussian(16))
    coarse = pooled(fine, cells)
    block = 16 // cells
    assert coarse.shape == (cells, cells)
    torch.testing.assert_close(coarse[-1, 0].exp(), fine[-block:, :block].exp().sum())
    assert float(coarse.exp().sum()) == pytest.approx(1)


def test_a_point_is_counted_in_the_cell_it_lies_in():
    points = torch.tensor([[0.1, 0.9], [0.1, 0.9], [1.0, 0.0], [0.5, 0.49]])
    counted = histogram(points, 2)
    assert counted.exp().tolist() == [[0.0, 0.5], [0.5, 0.0]]
    points = centres(5).flatten(0, 1)
    torch.testing.assert_close(histogram(points, 5), torch.full((5, 5), -math.log(25)).double())


def test_divergences_have_their_textbook_values():
    p, q = table([0.5, 0.25], [0.25, 0.0]), table([0.25, 0.25], [0.25, 0.25])
    assert kl_divergence(p, q) == pytest.approx(0.5 * math.log(2))
    assert kl_divergence(q, p) == math.inf
    assert total_variation(p, q) == total_variation(q, p) == 0.25
    for divergence in (kl_divergence, total_variation):
        assert divergence(p, p) == 0


def test_far_tails_have_finite_divergences():
    p, q = log_masses(-gaussian(32)), log_masses(-900.0 * gaussian(32))
    assert q.exp().min() == 0
    assert 0 < kl_divergence(p, q) < math.inf


def test_two_gaussians_diverge_as_the_closed_form_says():
    narrow = [log_masses(-(centres(256) - m).square().sum(dim=-1) / 0.005) for m in (0.45, 0.55)]
    assert kl_divergence(*narrow) == pytest.approx(2 * 0.1**2 / 0.005, rel=1e-6)


@pytest.mark.parametrize("density", ["uniform", "gaussian"])
def test_exact_draws_are_as_far_from_their_density_as_chance_has_them(density):
    """2 N KL of a histogram is chi-squared, of as many degrees as cells less one."""
    n, bins = 20_000, 8
    target = log_masses(0.0 * gaussian(64) if density == "uniform" else -gaussian(64) / 4)
    x = draw_points(target, Generator(1).uniform((n, 3)))
    assert 0 <= x.min() <= x.max() <= 1
    chi_squared = 2 * n * kl_divergence(histogram(x, bins), pooled(target, bins))
    degrees = bins**2 - 1
    assert abs(chi_squared - degrees) < 5 * math.sqrt(2 * degrees)


def test_a_draw_fills_its_cell():
    x = draw_points(table([0.0, 1.0], [0.0, 0.0]), Generator(0).uniform((2000, 3)))
    assert x.min(dim=0).values.tolist() == pytest.approx([0.0, 0.5], abs=0.01)
    assert x.max(dim=0).values.tolist() == pytest.approx([0.5, 1.0], abs=0.01)
