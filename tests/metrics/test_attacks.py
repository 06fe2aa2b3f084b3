"""An attacker's losses, and PGD against an independent one on the same model and start."""

import pytest
import torch
from torch import nn

from jemstone.errors import Mistake
from jemstone.functional.balls import ball
from jemstone.functional.energies import (
    away_from_label,
    grad_x,
    label_margin,
    logit_ratio,
    margin,
)
from jemstone.metrics.attacks import check_images, pgd_survivors
from jemstone.metrics.victim import Victim
from jemstone.random import Generator


def test_a_margin_is_negative_where_the_label_is_missed():
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    assert label_margin(logits, torch.tensor([0, 1])).tolist() == [1.0, -2.0]


def test_a_ratio_of_logits_is_the_attackers_dlr_loss(perceptron, digits):
    autopgd = pytest.importorskip("pyautoattack.autopgd_base", reason="needs pyautoattack")
    x, y = digits.test.take(torch.arange(40))
    theirs = autopgd.APGDAttack(perceptron, eps=0.1).dlr_loss(perceptron(x), y)
    assert torch.allclose(logit_ratio(perceptron, x, y), -theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("potential", "sees"), [(away_from_label, 0), (margin, 1), (logit_ratio, 1)]
)
def test_only_cross_entropy_falls_silent_when_logits_are_large(potential, sees, perceptron, digits):
    loud = Victim(lambda x: 1e4 * perceptron(x))
    x, y = digits.test.take(torch.arange(40))
    right = loud.right(x, y)
    gradient = grad_x(potential, loud, x[right], y[right])
    seen = (gradient.flatten(1) != 0).any(dim=1).double().mean()
    assert abs(float(seen) - sees) <= 0.05


def test_a_ratio_needs_three_classes():
    with pytest.raises(Mistake, match="use the margin"):
        logit_ratio(
            Victim(lambda x: x.flatten(1)[:, :2]), torch.zeros(1, 1, 2, 2), torch.tensor([0])
        )


@pytest.mark.parametrize("potential", [margin, logit_ratio])
def test_a_margin_is_the_labels(potential, perceptron):
    with pytest.raises(ValueError, match="labels y"):
        potential(perceptron, torch.zeros(1, 1, 8, 8), None)


def test_a_model_without_a_graph_has_the_gradient_zero(perceptron, digits):
    x, y = digits.test.take(torch.arange(4))
    cut = Victim(lambda x: perceptron((x.detach() * 255).byte().float() / 255))
    assert (grad_x(margin, cut, x, y) == 0).all()


@pytest.mark.parametrize(
    ("norm", "eps", "attack"),
    [
        ("linf", 0.06, "LinfProjectedGradientDescentAttack"),
        ("l2", 0.6, "L2ProjectedGradientDescentAttack"),
    ],
)
def test_pgd_is_no_weaker_than_foolbox_and_as_strong(norm, eps, attack, perceptron, digits):
    foolbox = pytest.importorskip("foolbox", reason="needs foolbox: pip install foolbox")
    steps, x, y = 20, digits.test.x, digits.test.y
    theirs = getattr(foolbox.attacks, attack)(
        abs_stepsize=2.5 * eps / steps, steps=steps, random_start=False
    )
    model = foolbox.PyTorchModel(perceptron, bounds=(0, 1), device="cpu")
    _, _, broken = theirs(model, x, y, epsilons=eps)
    ours = pgd_survivors(
        perceptron, x, y, [ball(norm, eps)], generator=Generator(0), steps=steps, restarts=0
    )
    left, expected = float(ours[1].double().mean()), 1 - float(broken.double().mean())
    assert 0.1 < expected < 0.9
    assert expected - 0.01 <= left <= expected


@pytest.mark.parametrize("potential", [margin, logit_ratio])
def test_other_losses_break_as_many_images_as_cross_entropy(potential, perceptron, digits):
    x, y = digits.test.take(torch.arange(120))
    left = {}
    for loss in (away_from_label, potential):
        rows = pgd_survivors(
            perceptron,
            x,
            y,
            [ball("linf", 0.05)],
            generator=Generator(0),
            steps=10,
            restarts=1,
            potential=loss,
        )
        left[loss] = float(rows[1].double().mean())
    assert 0.1 < left[potential] < 0.9
    assert left[potential] <= left[away_from_label] + 0.02


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.full((1, 1, 2, 2), 1.01), "outside"),
        (torch.full((1, 1, 2, 2), -0.01), "outside"),
        (torch.full((1, 1, 2, 2), torch.nan), "outside"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.uint8), "divided by 255"),
        (torch.zeros(1, 2, 2), "float32"),
        (torch.zeros(0, 1, 2, 2), "at least one"),
    ],
)
def test_what_is_no_image_is_refused_at_the_door(images, words):
    with pytest.raises(Mistake, match=words):
        check_images(images)


def test_a_bound_method_is_held_with_its_module():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert Victim(network.forward).module is network
    assert Victim(lambda x: x).module is None
