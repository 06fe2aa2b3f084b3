"""How long a run will take, by a few passes before it starts."""

from __future__ import annotations

import math
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
_DAY = (86_400.0, "days")


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
        walked += recipe.attack.steps if recipe.positives == "adversarial" else 0
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


def duration(seconds: float, digits: int = 2) -> str:
    """Say a time in one unit.

    >>> [duration(s) for s in (20, 600, 9000, 300_000)]
    ['20 s', '10 min', '2.5 h', '3.5 days']
    >>> [duration(s, digits=3) for s in (0.00123, 12.3, 754, 9000, 0)]
    ['1.23 ms', '12.3 s', '12.6 min', '2.50 h', '0.00 ms']

    Args:
        seconds: of it.
        digits: that count: few of an estimate, more of a measurement.
    """
    units = ((1.0, 1e-3, "ms"), (90.0, 1.0, "s"), (5400.0, 60.0, "min"), (172_800.0, 3600.0, "h"))
    size, unit = next(((size, unit) for most, size, unit in units if seconds < most), _DAY)
    # Rounded first: 9.96 has as many digits before its point as 10 has.
    value = float(f"{seconds / size:.{digits}g}")
    before = math.floor(math.log10(value)) + 1 if value else 1
    return f"{value:,.{max(0, digits - before)}f} {unit}"
