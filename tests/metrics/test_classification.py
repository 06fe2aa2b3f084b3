from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from jemstone.data import Images
from jemstone.errors import Mistake
from jemstone.metrics.classification import accuracy, agreement, predictions
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet
from jemstone.random import Generator


def random_images(n: int, classes: int = 3) -> Images:
    pixels = Generator(0).integers(n * 16, 256).reshape(n, 1, 4, 4).to(torch.uint8)
    return Images(pixels, Generator(1).integers(n, classes))


def by_brightness() -> JointEnergyModel:
    """Tell dark images (0) from bright ones (1)."""
    linear = nn.Linear(16, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 16))
        linear.bias.copy_(torch.tensor([8.0, -8.0]))
    return JointEnergyModel(nn.Sequential(nn.Flatten(), linear))


@pytest.mark.parametrize(("wrong", "expected"), [(0, 1.0), (1, 0.9), (10, 0.0)])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_accuracy_counts(wrong: int, expected: float, batch_size: int) -> None:
    labels = torch.arange(10) % 2
    pixels = (labels * 255).to(torch.uint8).reshape(10, 1, 1, 1).expand(10, 1, 4, 4)
    labels = torch.where(torch.arange(10) < wrong, 1 - labels, labels)
    found = accuracy(by_brightness(), Images(pixels, labels), batch_size)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("batch_size", [1, 5, 256])
def test_predictions_are_those_of_eval_mode(batch_size: int) -> None:
    torch.manual_seed(0)
    model = JointEnergyModel(nn.Sequential(ConvNet(1, 3, width=4), nn.Dropout()))
    images = random_images(12)
    expected = model.eval()(images.x).detach()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = predictions(model, images, batch_size)
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_agreement_of_no_two_orders_matters() -> None:
    logits, labels = Generator(0).normal((50, 4)), Generator(1).integers(50, 4)
    order = Generator(2).permutation(50)
    assert agreement(logits[order], labels[order]) == agreement(logits, labels)
    assert agreement(logits, logits.argmax(dim=1)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model, images: Images(images.pixels[:0], images.labels[:0]), "no images"),
        (lambda model, images: Images(images.pixels, images.labels + 1), "labels go from 1 to 3"),
        (lambda model, images: Images(images.pixels, images.labels - 1), "labels go from -1"),
        (lambda model, images: Images(images.pixels, images.labels.float()), "int64"),
        (lambda model, images: model[1].bias.data.fill_(math.nan), "not finite"),
    ],
)
def test_what_cannot_be_counted_is_refused(change, words: str) -> None:
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    images = random_images(30)
    changed = change(classifier, images)
    with pytest.raises(Mistake, match=words):
        accuracy(JointEnergyModel(classifier), changed if isinstance(changed, Images) else images)
