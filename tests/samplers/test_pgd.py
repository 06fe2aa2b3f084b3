import pytest
import torch
from torch import nn

from jemstone.errors import Mistake
from jemstone.functional.balls import L2, Linf
from jemstone.functional.energies import away_from_label, energy, grad_x, towards_label
from jemstone.random import Generator
from jemstone.samplers import FGSM, PGD, madry_step

BALLS = [Linf(0.1), Linf(0.5), L2(0.3), L2(2.0)]
balls = pytest.mark.parametrize("ball", BALLS, ids=str)
random_starts = pytest.mark.parametrize("random_start", [False, True])


@pytest.fixture
def slope(linear, images, labels):
    """The gradient of E(x, y), the same everywhere."""
    weight = next(m for m in linear.modules() if isinstance(m, nn.Linear)).weight
    return -weight[labels].detach().reshape(images.shape)


@pytest.mark.parametrize(("steps", "lengths"), [(1, 2.0), (5, 2.0), (7, 2.8), (4, 8.0)])
@random_starts
def test_linf_ends_at_the_dual_vertex_of_a_linear_potential(
    steps, lengths, random_start, linear, slope, images, labels
):
    """From anywhere in the ball, two radii of steps reach the vertex; the box cuts the rest off."""
    eps = 0.15
    attack = PGD(
        Linf(eps), steps, lengths * eps / steps, potential=energy, random_start=random_start
    )
    vertex = (images - eps * slope.sign()).clamp(0, 1)
    torch.testing.assert_close(
        attack(linear, images, labels, Generator(0)), vertex, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("steps", [1, 3, 15, 40])
def test_by_madrys_step_a_walk_crosses_its_ball(steps, linear, slope, images, labels):
    """It begins at the far vertex: one diameter away, and a quarter is left over."""
    eps = 0.15
    attack = PGD(Linf(eps), steps, madry_step(eps, steps), potential=energy, bounds=None)
    x = images + eps * slope.sign()
    for _ in range(steps):
        x = attack.step(linear, x, labels, images, Generator(0))
    torch.testing.assert_close(x, images - eps * slope.sign(), rtol=0, atol=1e-12)
    assert steps * madry_step(eps, steps) == pytest.approx(1.25 * 2 * eps)


@pytest.mark.parametrize(("steps", "lengths"), [(1, 1.0), (5, 1.0), (4, 2.5), (1, 9.0)])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_l2_ends_at_the_dual_point_of_a_linear_potential(
    steps, lengths, bounds, linear, slope, images, labels
):
    """From the centre, with room to the box on every side."""
    eps, x = 0.3, 0.35 + 0.3 * images
    attack = PGD(L2(eps), steps, lengths * eps / steps, potential=energy, bounds=bounds)
    direction = slope / slope.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    torch.testing.assert_close(
        attack(linear, x, labels, Generator(0)), x - eps * direction, rtol=0, atol=1e-12
    )


@balls
@random_starts
@pytest.mark.parametrize("potential", [away_from_label, towards_label, energy])
def test_every_step_is_in_the_ball_and_in_the_box(
    ball, random_start, potential, smooth, images, labels
):
    x = (3 * images - 1).clamp(0, 1)  # two thirds of the pixels on the wall
    attack = PGD(ball, 4, ball.eps, potential=potential, random_start=random_start)
    for state in attack.iterate(smooth(), x, labels, Generator(0)):
        assert (ball.norm(state - x) <= ball.eps + 1e-12).all()
        assert 0 <= state.min() <= state.max() <= 1


@balls
@pytest.mark.parametrize("pixel", [-0.01, 1.01, 255.0, float("nan"), float("inf"), -float("inf")])
@random_starts
def test_pixels_outside_the_box_are_a_mistake(ball, pixel, random_start, smooth, images, labels):
    images[3, 0, 1, 2] = pixel
    attack = PGD(ball, 2, 0.1, random_start=random_start)
    with pytest.raises(Mistake, match=r"lie outside \[0, 1\]") as told:
        attack(smooth(), images, labels, Generator(0))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("bounds", [None, (-1.0, 1.0)])
def test_the_box_that_counts_is_the_walks_own(bounds, smooth, images, labels):
    x = 2 * images - 1
    end = PGD(Linf(0.3), 3, 0.2, bounds=bounds)(smooth(), x, labels, Generator(0))
    assert (end - x).abs().max() == pytest.approx(0.3)
    assert (end.max() <= 1) == (bounds is not None)


@balls
@random_starts
def test_fgsm_is_pgd_of_one_step_as_long_as_the_radius(ball, random_start, smooth, images, labels):
    model = smooth()
    fgsm, pgd = (
        FGSM(ball, random_start=random_start),
        PGD(ball, 1, ball.eps, random_start=random_start),
    )
    end = fgsm(model, images, labels, Generator(0))
    assert torch.equal(end, pgd(model, images, labels, Generator(0)))


def test_fgsm_is_its_equation(smooth, images, labels):
    model = smooth()
    g = grad_x(towards_label, model, images, labels)  # of the cross-entropy
    expected = (images + 0.1 * g.sign()).clamp(0, 1)
    torch.testing.assert_close(FGSM(Linf(0.1))(model, images, labels, Generator(0)), expected)


@balls
@pytest.mark.parametrize(("potential", "sign"), [(towards_label, -1), (away_from_label, 1)])
def test_targeted_lowers_the_cross_entropy_and_untargeted_raises_it(
    ball, potential, sign, smooth, images, labels
):
    model = smooth()
    attack = PGD(ball, 5, ball.eps / 50, potential=potential)
    states = list(attack.iterate(model, images, labels, Generator(0)))
    losses = torch.stack([towards_label(model, x, labels) for x in states])
    assert (sign * losses.diff(dim=0) > 0).all()


@balls
def test_a_random_start_is_a_draw_from_the_ball(ball, smooth, images, labels):
    attack = PGD(ball, 0, 0.1, random_start=True)
    start = attack(smooth(), images, labels, Generator(0))
    delta = ball.sample(images, Generator(0).fold("start"))
    torch.testing.assert_close(start, (images + delta).clamp(0, 1))
