"""What a row times of the plain baseline."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from jemstone.baselines.plain import (
    PlainAttack,
    PlainDraws,
    PlainTraining,
    PlainWalk,
    plain_gaussians,
)
from jemstone.baselines.plain_data import PlainImages, plain_statistics
from jemstone.baselines.plain_network import PlainWideResNet
from jemstone.errors import Mistake
from jemstone.experiments.bench.work import (
    CLASSES,
    Work,
    features_of,
    gaussian_of,
    images_of,
    numbers_of,
)
from jemstone.samplers import madry_step
from jemstone.training import Device

__all__ = ["baseline"]

Call = Callable[[], object]


def _network(work: Work, device: Device) -> PlainWideResNet:
    network = PlainWideResNet(3, CLASSES, work.depth, work.width, work.norm)
    return network.to(device.name)


def _iteration(work: Work, device: Device) -> Call:
    data = images_of(work, 2 * work.batch)
    network = _network(work, device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=4e-4)
    gaussian = gaussian_of(work.shape)
    draws = PlainDraws(plain_gaussians(gaussian.means, gaussian.factors), work.shape)
    buffer = torch.rand(work.slots, *work.shape) * 2 - 1
    contrasts, attacks = work.about != "robust-classifier", work.about.startswith("robust")
    attack = PlainAttack() if attacks else None
    training = PlainTraining(network, optimiser, draws, buffer if contrasts else None, attack)
    pixels = data.train.pixels.permute(0, 2, 3, 1).numpy()
    images = PlainImages(pixels, data.train.labels.numpy())
    loader = torch.utils.data.DataLoader(images, work.batch, shuffle=True, drop_last=True)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for x, y in loader:
                yield x.to(device.name), y.to(device.name)

    unlabelled, labelled = batches(), batches()

    def iteration() -> None:
        data = next(unlabelled)[0] if contrasts else torch.zeros(0)
        x, y = next(labelled)
        training.iteration(data.to(device.name), x, y)

    return iteration


def _walk(work: Work, device: Device) -> Call:
    network, (x, _) = _network(work, device), numbers_of(work, device.name)
    network.train(work.about == "batch")
    return lambda: PlainWalk(work.steps)(network, 2 * x - 1)


def _attack(work: Work, device: Device) -> Call:
    network, (x, y) = _network(work, device).eval(), numbers_of(work, device.name)
    if work.about == "plain":
        attack = PlainAttack(16 / 255, 4 / 255, work.steps)
        return lambda: attack(network, 2 * x - 1, y, 2 * x - 1)
    try:
        foolbox: Any = importlib.import_module("foolbox")
    except ImportError as error:
        raise Mistake("foolbox is not installed: pip install foolbox") from error
    preprocessing = {"mean": [0.5] * 3, "std": [0.5] * 3, "axis": -3}
    target = foolbox.PyTorchModel(network, (0, 1), device.name, preprocessing)
    theirs = foolbox.attacks.LinfPGD(steps=work.steps, abs_stepsize=2 / 255)
    return lambda: theirs.run(target, x, y, epsilon=8 / 255)


def _sampling(work: Work, device: Device) -> Call:
    network, (_, y) = _network(work, device).eval(), numbers_of(work, device.name)
    gaussian = gaussian_of(work.shape)
    draws = PlainDraws(plain_gaussians(gaussian.means, gaussian.factors), work.shape)
    label = None if work.about == "unconditional" else y

    def sample() -> Tensor:
        x, lengths = draws.starts(y).to(device.name), list(work.lengths)
        if work.about in ("attack", "combined"):
            attack = PlainAttack(0.5, madry_step(0.5, 15), lengths.pop(0), targeted=True)
            x = attack(network, x, y, x)
        if work.about == "combined":
            x = 0.8 * x
        for steps in lengths:
            x = PlainWalk(steps, clamp=work.about != "combined")(network, x, label)
        return x.clamp(-1, 1)

    return sample


def _init(work: Work, device: Device) -> Call:
    gaussian, y = gaussian_of(work.shape), torch.arange(work.batch) % CLASSES
    draws = PlainDraws(plain_gaussians(gaussian.means, gaussian.factors), work.shape)
    return lambda: draws.starts(y)


def _data(work: Work, device: Device) -> Call:
    images = images_of(work, work.batch).train
    data = PlainImages(images.pixels.permute(0, 2, 3, 1).numpy(), images.labels.numpy())
    loader = torch.utils.data.DataLoader(data, work.batch, shuffle=True)
    return lambda: next(iter(loader))


def _features(work: Work, device: Device) -> Call:
    from scipy.linalg import sqrtm

    real, fake = (part.numpy() for part in features_of(work))

    def distance() -> Any:
        (mean, covariance), (other, theirs) = plain_statistics(real), plain_statistics(fake)
        root = sqrtm(covariance @ theirs).real
        return ((mean - other) ** 2).sum() + (covariance + theirs - 2 * root).trace()

    return distance


_BUILDERS: dict[str, Callable[[Work, Device], Call]] = {
    "iteration": _iteration,
    "walk": _walk,
    "attack": _attack,
    "sampling": _sampling,
    "init": _init,
    "data": _data,
    "features": _features,
}


def baseline(work: Work, device: Device) -> Call:
    """Return the call that does the row's work once, the plain way.

    Raises:
        Mistake: where it needs a library that is not installed.
    """
    return _BUILDERS[work.kind](work, device)
