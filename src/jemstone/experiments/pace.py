"""How long a run will take, by a few passes before it starts."""

from __future__ import annotations

import time

import torch

from jemstone.data import Images
from jemstone.functional.energies import grad_x, marginal
from jemstone.nn.modes import evaluating
from jemstone.recipes import Recipe
from jemstone.training import Device, TrainingState

__all__ = ["duration", "passes_per_step", "seconds_per_step"]

_LEARNING = 1.5  # a pass with the weights' gradient, of one with the images' alone
_LOOKS = 3


def passes_per_step(recipe: Recipe) -> float:
    """Count a step's passes, forward and back to the images: those of walks, and of losses.

    >>> from jemstone.recipes import recipe_for
    >>> passes_per_step(recipe_for("classifier"))
    1.5

    Args:
        recipe: of the run.
    """
    weights, walked, learnt = recipe.weights, 0, 0
    if weights.likelihood > 0:
        walked, learnt = walked + recipe.walk.steps, learnt + 2  # of data and of samples
    if weights.adversarial > 0:
        walked, learnt = walked + recipe.attack.steps, learnt + 1
    if weights.cross_entropy > 0:
        learnt += 1
    return walked + _LEARNING * learnt


def seconds_per_step(state: TrainingState, recipe: Recipe, images: Images, device: Device) -> float:
    """Estimate what a step will take, by three passes; the state stays as it is.

    Args:
        state: of the run; of many processes, this one's.
        recipe: of the run.
        images: to learn from.
        device: where it is trained.
    """
    count = min(recipe.optimisation.batch_size, len(images))
    x = images.take(torch.arange(count)[state.processes.share]).x
    x = x.to(device.name, memory_format=torch.channels_last)
    times = []
    with evaluating(state.model), device.autocast():
        for _ in range(_LOOKS):
            began = time.perf_counter()
            float(grad_x(marginal, state.model, x).sum())  # waits for the device
            times.append(time.perf_counter() - began)
    return passes_per_step(recipe) * min(times)


def duration(seconds: float) -> str:
    """Say a time in one unit.

    >>> duration(20), duration(600), duration(9000), duration(300_000)
    ('20 s', '10 min', '2.5 h', '3.5 days')

    Args:
        seconds: of it.
    """
    for most, unit, name in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < most:
            return f"{seconds / unit:.0f} {name}"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
