from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.functional.balls import ball
from jemstone.metrics import accuracy, robust_accuracy
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet
from jemstone.random import Generator
from jemstone.samplers import PGD, away_from_label

N = 60


def linear(classes: int = 2) -> JointEnergyModel:
    torch.manual_seed(0)
    layer = nn.Linear(16, classes)
    with torch.no_grad():
        layer.bias.copy_(-layer.weight.sum(dim=1) / 2)  # mid-grey lies on the border
    return JointEnergyModel(nn.Sequential(nn.Flatten(), layer))


def convolutional(seed: int = 0) -> JointEnergyModel:
    """Build a random network that sees every class about as often."""
    torch.manual_seed(seed)
    network = ConvNet(1, 3, width=4).eval()
    with torch.no_grad():
        logits = network(Generator(9).uniform((50, 1, 4, 4)))
        network.linear.bias -= logits.mean(dim=0)
        network.linear.weight /= logits.std(dim=0)[:, None]
        network.linear.bias /= logits.std(dim=0)
    return JointEnergyModel(network)


def images_between(low: int, high: int, model: nn.Module, right: float = 0.9) -> Images:
    """Draw images, most of them with the label that the model gives them."""
    pixels = low + Generator(0).integers(N * 16, high - low).reshape(N, 1, 4, 4)
    images = Images(pixels.to(torch.uint8), torch.zeros(N, dtype=torch.int64))
    with torch.no_grad():
        guesses = model.eval()(images.x)
    labels = guesses.argmax(dim=1)
    wrong = Generator(1).uniform((N, 1))[:, 0] > right
    return Images(images.pixels, torch.where(wrong, (labels + 1) % guesses.shape[1], labels))


def values(rows: list[dict]) -> list[float]:
    return [row["value"] for row in rows]


@pytest.mark.parametrize(("low", "high"), [(80, 170), (0, 256)])
def test_linear_classifiers_have_a_closed_form(low: int, high: int) -> None:
    model = linear()
    images = images_between(low, high, model)
    layer = model.classifier[1]
    w = layer.weight[1] - layer.weight[0]
    x = images.x.flatten(1)
    sign = 2 * images.labels - 1
    margin = sign * (x @ w + layer.bias[1] - layer.bias[0]).detach()
    # The worst change of a pixel goes against the label as far as the ball and the box let it.
    down = (sign[:, None] * w) > 0
    room = torch.where(down, x, 1 - x)
    radii = [0.0, 0.01, 0.03, 0.1, 0.3]
    rows = robust_accuracy(model, images, "linf", radii, generator=Generator(0), steps=5)
    for eps, row in zip(radii, rows, strict=True):
        worst = (w.abs() * room.clamp_max(eps)).sum(dim=1)
        assert row["value"] == pytest.approx(float((margin > worst).double().mean()))
    assert len(set(values(rows))) > 3


def test_l2_attacks_come_close_to_the_closed_form() -> None:
    model = linear()
    images = images_between(80, 170, model)
    layer = model.classifier[1]
    w = layer.weight[1] - layer.weight[0]
    margin = (2 * images.labels - 1) * (images.x.flatten(1) @ w + layer.bias[1] - layer.bias[0])
    for row in robust_accuracy(model, images, "l2", [0.02, 0.1, 0.3], generator=Generator(0)):
        exact = [float((margin > s * row["eps"] * w.norm()).double().mean()) for s in (1, 0.98)]
        assert exact[0] <= row["value"] <= exact[1]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("seed", [0, 1])
def test_laws_of_any_robust_accuracy(norm: str, seed: int) -> None:
    model = convolutional(seed)
    images = images_between(0, 256, model)
    radii = [0.5, 0.0, 0.02, 0.1, 0.02]
    rows = robust_accuracy(model, images, norm, radii, generator=Generator(seed), steps=4)
    assert [row["eps"] for row in rows] == [0.0, 0.02, 0.1, 0.5]
    assert values(rows) == sorted(values(rows), reverse=True)
    assert rows[0]["value"] == accuracy(model, images)
    for row in rows:
        assert (row["attack"], row["norm"], row["n"]) == ("PGD-4 x2", norm, N)
        grey = norm == "linf" and row["eps"] >= 0.5
        names = {"below_clean", "falls_with_eps"} | ({"every_image_can_be_grey"} if grey else set())
        assert row["laws"].keys() == names
        assert all(verdict["passed"] for verdict in row["laws"].values())
        low, high = row["interval"]
        assert 0 <= low <= row["value"] <= high <= 1


class Staircase(nn.Module):
    """Tell dark images (0) from bright ones (1) by a mean without a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        step = (4 * x.mean(dim=(1, 2, 3)) - 2).round()
        return step[:, None] * torch.tensor([-1.0, 1.0])


def test_a_number_that_hidden_gradients_made_breaks_a_law() -> None:
    model = JointEnergyModel(Staircase())
    labels = torch.arange(20) % 2
    pixels = (labels * 255).to(torch.uint8).reshape(20, 1, 1, 1).expand(20, 1, 8, 8)
    images = Images(pixels, labels)
    (row,) = robust_accuracy(model, images, "linf", [0.5], generator=Generator(0), steps=2)
    assert row["value"] > 0.5
    assert {name: verdict["passed"] for name, verdict in row["laws"].items()} == {
        "below_clean": True,
        "falls_with_eps": True,
        "every_image_can_be_grey": False,
    }


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_answers_do_not_depend_on_the_batch_size(norm: str) -> None:
    model = convolutional()
    images = images_between(0, 256, model).first(24)
    found = [
        robust_accuracy(
            model, images, norm, [0.02, 0.1], generator=Generator(0), steps=3, batch_size=size
        )
        for size in (1, 7, 24)
    ]
    assert found[0] == found[1] == found[2]
    assert 0 < found[0][1]["value"] < found[0][0]["value"]


def test_no_weaker_than_the_walks_it_is_made_of() -> None:
    model = convolutional().eval()
    images = images_between(0, 256, model)
    generator, radii = Generator(3), [0.02, 0.04]
    rows = robust_accuracy(model, images, "linf", radii, generator=generator, steps=4, restarts=1)
    standing = model(images.x).argmax(dim=1) == images.labels
    for number, row in enumerate(rows):
        attack = PGD(
            ball("linf", row["eps"]),
            steps=4,
            step_size=2.5 * row["eps"] / 4,
            potential=away_from_label,
            random_start=True,
        )
        for x in attack.iterate(model, images.x, images.labels, generator.fold(number, 1)):
            standing &= model(x).argmax(dim=1) == images.labels
        assert row["value"] <= float(standing.double().mean())


class Gap(nn.Module):
    """See class 0 in images of mean 0.5, give or take a grey level, and class 1 in all others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        away = (255 * (x.mean(dim=(1, 2, 3)) - 0.5)) ** 2
        return torch.stack([torch.ones_like(away), away], dim=1) / 100


def test_an_image_broken_on_the_way_is_broken() -> None:
    # Steps of five grey levels hit the gap, leave it, and hit it again: the last may miss it.
    levels = torch.arange(133, 168, 5, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    images = Images(levels.expand(-1, 1, 4, 4), torch.ones(len(levels), dtype=torch.int64))
    model = JointEnergyModel(Gap())
    assert accuracy(model, images) == 1
    (row,) = robust_accuracy(model, images, "linf", [40 / 255], generator=Generator(0))
    assert row["value"] == 0


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_radius_begins_at_the_nearest_miss_of_the_smaller(restarts: int) -> None:
    model, looks = linear(), []
    pixels = torch.where(model.classifier[1].weight[1] > 0, 230, 20).to(torch.uint8)
    images = Images(pixels.reshape(1, 1, 4, 4), torch.tensor([1]))

    def forward(x: torch.Tensor) -> torch.Tensor:
        logits = JointEnergyModel.logits(model, x)
        if not x.requires_grad:
            looks.append((float(logits[0, 1] - logits[0, 0]), x))
        return logits

    model.logits = forward
    rows = robust_accuracy(
        model, images, "linf", [0.02, 0.03], generator=Generator(0), steps=3, restarts=restarts
    )
    assert values(rows) == [1, 1]
    walks = restarts + 1
    assert len(looks) == 1 + 2 * walks * 4
    former, start = looks[: 1 + walks * 4], looks[1 + walks * 4]
    assert start[0] == min(margin for margin, _ in former)
    starts = [x for _, x in looks[1::4]]
    assert all(not torch.equal(a, b) for i, a in enumerate(starts) for b in starts[:i])


def test_the_model_is_left_as_it_was() -> None:
    model = convolutional()
    images = images_between(0, 256, model)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    robust_accuracy(model, images, "linf", [0.1], generator=Generator(0), steps=2)
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"norm": "l1"}, "no norm 'l1'"),
        ({"eps_list": [-0.1]}, "not negative"),
        ({"eps_list": [math.nan]}, "finite"),
        ({"steps": 0}, "at least one step"),
        ({"restarts": 0}, "one restart"),
        ({"labels": 5}, "labels go from 5 to 5"),
        ({"labels": -1}, "labels go from -1 to -1"),
        ({"n": 0}, "one image"),
        ({"scale": math.nan}, "not finite"),
    ],
)
def test_what_cannot_be_attacked_is_refused(options: dict, words: str) -> None:
    model = linear()
    model.classifier[1].weight.data *= options.pop("scale", 1.0)
    n, label = options.pop("n", 4), options.pop("labels", 1)
    images = Images(
        torch.zeros(n, 1, 4, 4, dtype=torch.uint8), torch.full((n,), label, dtype=torch.int64)
    )
    options = {"norm": "linf", "eps_list": [0.1], "generator": Generator(0), **options}
    with pytest.raises(Mistake, match=words):
        robust_accuracy(model, images, **options)
