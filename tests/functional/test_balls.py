import math

import hypothesis
import pytest
import torch
from hypothesis import strategies as st
from scipy import stats

from jemstone.errors import Mistake
from jemstone.functional.balls import L2, Linf, ball
from jemstone.random import Generator

BALLS = [Linf(0.3), L2(0.7), Linf(1e-3), L2(1e-3), Linf(0.0), L2(0.0)]
FULL = BALLS[:4]  # with points inside
SHAPES = [(1,), (5,), (1, 1, 1), (3, 4, 4)]
DUAL = {Linf: lambda g: g.flatten(1).abs().sum(dim=1), L2: lambda g: g.flatten(1).norm(dim=1)}

balls = pytest.mark.parametrize("ball", BALLS, ids=str)
full_balls = pytest.mark.parametrize("ball", FULL, ids=str)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@balls
@shapes
def test_projection_lands_inside(ball, shape):
    center = normal(9, *shape)
    far = ball.project(center + normal(9, *shape), center)
    assert (ball.norm(far - center) <= ball.eps + 1e-12).all()
    assert torch.equal(ball.project(center, center), center)


@full_balls
@shapes
def test_projection_leaves_inner_points_alone(ball, shape, generator):
    center = normal(9, *shape)
    inner = center + 0.999 * ball.sample(center, generator)
    assert torch.equal(ball.project(inner, center), inner)


@balls
@shapes
def test_projection_is_idempotent(ball, shape):
    center = normal(9, *shape)
    once = ball.project(center + normal(9, *shape), center)
    rounding = 0 if isinstance(ball, Linf) else 1e-15
    torch.testing.assert_close(ball.project(once, center), once, rtol=rounding, atol=rounding)


@full_balls
@hypothesis.given(seed=st.integers(0, 2**32), scale=st.floats(1e-3, 1e3))
@hypothesis.settings(deadline=None, derandomize=True, max_examples=15)
def test_projection_is_the_nearest_point(ball, seed, scale):
    """P(x) is nearest in a convex set where <x - P(x), z - P(x)> <= 0 for every z of the set."""
    draws = Generator(seed)
    center = draws.fold("center").normal((1, 6), dtype=torch.float64).expand(200, 6)
    x = center + scale * draws.fold("x").normal((1, 6), dtype=torch.float64)
    z = center + ball.sample(x, draws.fold("z"))
    nearest = ball.project(x, center)
    assert ((x - nearest) * (z - nearest)).sum(dim=1).max() <= 1e-12 * scale


@full_balls
@shapes
def test_draws_are_inside(ball, shape, generator):
    draws = ball.sample(torch.zeros(500, *shape), generator)
    assert draws.shape == (500, *shape)
    assert (ball.norm(draws) <= ball.eps * (1 + 1e-6)).all()


@pytest.mark.parametrize("size", [1, 2, 12, 192])
def test_draws_from_the_l2_ball_are_uniform(size, generator):
    """Of a uniform draw, (r / eps)^D is uniform, and the direction has no preference."""
    draws = L2(0.7).sample(torch.zeros(4000, size, dtype=torch.float64), generator)
    radius = draws.norm(dim=1)
    assert stats.kstest(((radius / 0.7) ** size).numpy(), "uniform").pvalue > 1e-3
    direction = draws / radius[:, None]
    assert direction.mean(dim=0).abs().max() < 5 / math.sqrt(4000 * size)
    isotropic = torch.eye(size, dtype=draws.dtype) / size
    assert (direction.T @ direction / 4000 - isotropic).abs().max() < 5 * 1.5 / size / math.sqrt(
        4000
    )


@pytest.mark.parametrize("size", [1, 2, 12])
def test_draws_from_the_linf_ball_are_uniform(size, generator):
    draws = Linf(0.3).sample(torch.zeros(4000, size), generator)
    for column in draws.T:
        assert stats.kstest(column.numpy(), "uniform", args=(-0.3, 0.6)).pvalue > 1e-3
    covariance = draws.T @ draws / 4000 - torch.eye(size) * 0.3**2 / 3
    assert covariance.abs().max() < 5 * 0.3**2 / 3 / math.sqrt(4000)


@full_balls
def test_the_draw_of_an_image_depends_on_its_number_alone(ball, generator):
    x, places = torch.zeros(6, 3), torch.tensor([4, 1])
    alone = ball.sample(x[places], generator.at(places))
    assert torch.equal(alone, ball.sample(x, generator)[places])


@full_balls
@shapes
def test_the_steepest_direction_has_norm_1_and_attains_the_dual_norm(ball, shape):
    g = normal(9, *shape)
    direction = ball.steepest(g)
    torch.testing.assert_close(ball.norm(direction), torch.ones(9, dtype=g.dtype))
    torch.testing.assert_close((g * direction).flatten(1).sum(dim=1), DUAL[type(ball)](g))


@full_balls
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-10, 1e10, 1e20])
def test_the_steepest_direction_does_not_depend_on_the_gradients_size(ball, scale):
    g = normal(5, 3, 2, 2).float()
    torch.testing.assert_close(ball.steepest(scale * g), ball.steepest(g))


@full_balls
def test_a_zero_gradient_has_no_direction(ball):
    g = torch.zeros(2, 1, 3, 3)
    g[1] = 1.0
    direction = ball.steepest(g)
    assert (direction[0] == 0).all()
    assert ball.norm(direction)[1] == pytest.approx(1.0)


@pytest.mark.parametrize(("norm", "expected"), [("linf", Linf(0.1)), ("l2", L2(0.1))])
def test_a_norm_names_its_ball(norm, expected):
    assert ball(norm, 0.1) == expected


def test_an_unknown_norm_is_a_mistake():
    with pytest.raises(Mistake, match=r"no norm 'l1'.*linf, l2"):
        ball("l1", 0.1)
