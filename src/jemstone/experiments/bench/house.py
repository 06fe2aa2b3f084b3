"""What a row times of the library."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from jemstone.data import Epochs
from jemstone.experiments.bench.roofline import matrix_work
from jemstone.experiments.bench.work import (
    CLASSES,
    Work,
    features_of,
    gaussian_of,
    images_of,
    numbers_of,
    recipe_of,
)
from jemstone.functional.balls import Linf
from jemstone.functional.energies import marginal
from jemstone.metrics import frechet_distance
from jemstone.model import JointEnergyModel
from jemstone.nn.modes import learning
from jemstone.recipes import build_buffer, build_model, build_objective, build_sampler, changed
from jemstone.samplers import PGD, PYLD
from jemstone.training import Device
from jemstone.types import Batch, Generator

__all__ = ["matrix", "ours"]

Call = Callable[[], object]


def _model(work: Work, device: Device) -> JointEnergyModel:
    recipe = recipe_of(work, "robust-jem")
    return build_model(recipe, images_of(work, CLASSES), seed=0).to(device.name).eval()


def _iteration(work: Work, device: Device) -> Call:
    recipe = recipe_of(work, work.about)
    data = images_of(work, 2 * work.batch)
    model = build_model(recipe, data, seed=0).to(device.name).train()
    gaussian = gaussian_of(work.shape)
    buffer = build_buffer(recipe, gaussian, CLASSES, Generator(0))
    objective = build_objective(recipe, buffer, CLASSES)
    optimiser, epochs = (
        recipe.optimisation.build(model),
        Epochs(data.train, work.batch, Generator(0)),
    )
    parameters, generator, step = list(model.parameters()), Generator(0), 0

    def iteration() -> None:
        nonlocal step
        now = generator.fold(step)
        x, y = epochs.batch(step)
        x = recipe.augmentation(x, now.fold("augment"))
        x = x.to(device.name, memory_format=torch.channels_last)
        with device.autocast(), learning(model):
            loss = objective(model, Batch(x, y.to(device.name), 10**9), now)
        optimiser.zero_grad(set_to_none=True)
        loss.value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, float("inf"))
        optimiser.step()
        step += 1

    return iteration


def _walk(work: Work, device: Device) -> Call:
    model, (x, y) = _model(work, device), numbers_of(work, device.name)
    walk = PYLD(work.steps, 5, 0.05, clip=2.0, mode=work.about, potential=marginal)
    x = x.contiguous(memory_format=torch.channels_last)
    return lambda: _under(device, lambda: walk(model, x, y, Generator(0)))


def _attack(work: Work, device: Device) -> Call:
    model, (x, y) = _model(work, device), numbers_of(work, device.name)
    attack = PGD(Linf(8 / 255), work.steps, 2 / 255, random_start=True)
    return lambda: _under(device, lambda: attack(model, x, y, Generator(0)))


def _under(device: Device, call: Call) -> object:
    with device.autocast():
        return call()


def _sampling(work: Work, device: Device) -> Call:
    recipe, lengths = recipe_of(work, "robust-jem"), work.lengths
    parts = {
        "attack": ["sampling.attack.steps"],
        "combined": ["sampling.attack.steps", "sampling.combined.steps"],
        "energy": ["sampling.energy.steps"],
        "unconditional": ["sampling.unconditional.steps"],
    }[work.about]
    recipe = changed(recipe, dict(zip(parts, lengths, strict=True)))
    sampler = build_sampler(recipe, work.about, gaussian_of(work.shape))
    model, (_, y) = _model(work, device), numbers_of(work, device.name)
    return lambda: _under(device, lambda: sampler(model, y, Generator(0)))


def _init(work: Work, device: Device) -> Call:
    gaussian, y = gaussian_of(work.shape), torch.arange(work.batch) % CLASSES
    return lambda: gaussian(y, Generator(0))


def _data(work: Work, device: Device) -> Call:
    images, recipe = images_of(work, 2 * work.batch).train, recipe_of(work, "jempp")
    epochs = Epochs(images, work.batch, Generator(0))

    def batch() -> Tensor:
        x = recipe.augmentation(epochs.batch(0).x, Generator(0))
        return x + recipe.noise * Generator(1).normal(x.shape)

    return batch


def _features(work: Work, device: Device) -> Call:
    real, fake = features_of(work)
    return lambda: frechet_distance(real, fake)


_BUILDERS: dict[str, Callable[[Work, Device], Call]] = {
    "iteration": _iteration,
    "walk": _walk,
    "attack": _attack,
    "sampling": _sampling,
    "init": _init,
    "data": _data,
    "features": _features,
}


def ours(work: Work, device: Device) -> Call:
    """Return the call that does the row's work once, the library's way."""
    return _BUILDERS[work.kind](work, device)


def matrix(work: Work, device: Device) -> Call:
    """Return the call that does one pass's convolutions and linear layers, and nothing else."""
    x = numbers_of(work, device.name)[0]
    return matrix_work(_model(work, device), x, torch.bfloat16 if device.bf16 else x.dtype)
