"""Each law fails for a number that is too high, and for no other."""

import pytest
import torch

from jemstone.functional.balls import L2, Ball, Linf
from jemstone.metrics import laws

LABELS = torch.tensor([0, 0, 0, 1, 2])  # the largest class has 3 of 5
ON_16 = {"labels": LABELS, "size": 16}


def grey(value, threat):
    return laws.every_image_can_be_grey(value, threat, **ON_16)


def silent(count):
    return laws.gradient_reaches_the_image(torch.arange(100) < count)


@pytest.mark.parametrize(
    ("name", "verdict", "passed"),
    [
        ("below_clean", laws.below_clean(0.9, 0.9), True),
        ("below_clean", laws.below_clean(0.91, 0.9), False),
        ("falls_with_eps", laws.falls_with_eps(0.5, {}), True),
        ("falls_with_eps", laws.falls_with_eps(0.5, {0.1: 0.5, 0.2: 0.6}), True),
        ("falls_with_eps", laws.falls_with_eps(0.55, {0.1: 0.6, 0.2: 0.5}), False),
        ("every_image_can_be_grey", grey(0.6, Linf(0.5)), True),
        ("every_image_can_be_grey", grey(0.8, Linf(0.5)), False),
        ("every_image_can_be_grey", grey(0.8, L2(2.0)), False),
        ("no_weaker_than_black_box", laws.no_weaker_than_black_box(0.5, 0.5, 50), True),
        ("no_weaker_than_black_box", laws.no_weaker_than_black_box(0.52, 0.5, 50), False),
        ("no_weaker_than_black_box", laws.no_weaker_than_black_box(0.51, 0.5, 100), True),
        ("no_weaker_than_black_box", laws.no_weaker_than_black_box(0.52, 0.5, 100), False),
        ("no_weaker_than_pgd", laws.no_weaker_than_pgd(0.4, 0.5, 50), True),
        ("no_weaker_than_pgd", laws.no_weaker_than_pgd(0.6, 0.5, 50), False),
        ("more_steps_never_help", laws.more_steps_never_help(0.4, 0.5, 50), True),
        ("more_steps_never_help", laws.more_steps_never_help(0.6, 0.5, 50), False),
        ("gradient_reaches_the_image", silent(1), True),
        ("gradient_reaches_the_image", silent(2), False),
        ("gradient_reaches_the_image", laws.gradient_reaches_the_image(torch.zeros(0)), True),
    ],
)
def test_a_law_passes_and_fails(name, verdict, passed):
    assert verdict["law"] == laws.LAWS[name]
    assert verdict["passed"] is passed
    assert all(isinstance(value, float) for value in verdict["values"].values())


def test_every_law_has_its_sentence():
    judges = {name for name in laws.__all__ if name in laws.LAWS}
    assert judges == laws.LAWS.keys()


@pytest.mark.parametrize("threat", [Linf(0.49), L2(1.9)])
def test_a_small_ball_does_not_reach_grey(threat):
    assert grey(1.0, threat) is None


class L1(Ball):
    """A norm of somebody's own."""

    project = sample = steepest = None

    def norm(self, delta):
        return delta.abs().flatten(1).sum(dim=1)


@pytest.mark.parametrize("threat", [Linf(0.1), L2(0.1), L1(0.1)])
def test_the_grey_radius_is_the_farthest_that_an_image_can_be_from_grey(threat, generator):
    radius = laws.grey_radius(threat, 16)
    corners = (generator.uniform((200, 1, 4, 4)) > 0.5).float()
    images = torch.cat([corners, generator.fold(1).uniform((200, 1, 4, 4))])
    distances = threat.norm(images - 0.5)
    assert distances.max() == pytest.approx(radius)
    assert (distances[200:] < radius).all()
