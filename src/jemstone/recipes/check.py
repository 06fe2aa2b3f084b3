"""What a recipe's numbers may be."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from typing import Any, get_args, get_type_hints

import torch

from jemstone.data import DataSet
from jemstone.errors import Mistake, unknown
from jemstone.functional.balls import BALLS
from jemstone.nn import ARCHITECTURES
from jemstone.nn.modes import MODES
from jemstone.nn.wide_resnet import ACTIVATIONS, INITS, NORMS
from jemstone.recipes.schema import Chains, Langevin, Recipe, Sampling, flattened
from jemstone.training import Optimisation

__all__ = ["check_data", "checked"]

_ANY = math.inf
_LARGEST = sys.float_info.max
_MOST_STEPS = 100_000  # of a walk
_LONGEST_NAME = 80
_BOUNDS: dict[str, tuple[float, float]] = {
    # by the last word of the field's path: one name a thing
    "depth": (1, 1000),
    "width": (1, 1000),
    "stride": (1, 64),
    "learning_rate": (0, _ANY),
    "momentum": (0, 1),
    "weight_decay": (0, _ANY),
    "batch_size": (1, 1_000_000),
    "epochs": (0, 1_000_000),
    "steps": (1, 1_000_000_000),
    "warmup": (0, _ANY),
    "decay": (0, 1),
    "clip_norm": (1e-12, _ANY),
    "loss_limit": (0, _ANY),
    "ema": (0, 1),
    "retries": (0, 1000),
    "lower": (1e-6, 1),
    "every": (1, 1_000_000),
    "gap": (0, _ANY),
    "input_gradient": (0, _ANY),
    "saturated": (0, 1),
    "dead": (0, 1),
    "padding": (0, 1000),
    "noise": (0, _ANY),
    "ramp": (0, _ANY),
    "temperature": (0, _ANY),
    "cross_entropy": (0, _ANY),
    "adversarial": (0, _ANY),
    "likelihood": (0, _ANY),
    "eps": (0, _ANY),
    "step_size": (0, _ANY),
    "inner": (1, 10_000),
    "clip": (0, _ANY),
    "jitter": (0, _ANY),
    "rank": (1, 1_000_000),
    "size": (1, 100_000_000),
    "reinit": (0, 1),
    "factor": (0, _ANY),
    "pivot": (0, 1),
}


def _choices(of: type, field: str) -> Collection[Any]:
    """Return what a field's annotation lets it be."""
    return get_args(get_type_hints(of)[field])


_NAMES: dict[str, Collection[str]] = {
    "network.architecture": ARCHITECTURES,
    "network.norm": NORMS,
    "network.activation": ACTIVATIONS,
    "network.init": INITS,
    "attack.norm": BALLS,
    "optimisation.optimiser": _choices(Optimisation, "optimiser"),
    "optimisation.schedule": _choices(Optimisation, "schedule"),
    "chains.init": _choices(Chains, "init"),
    "sampling.init": _choices(Sampling, "init"),
    "budget": _choices(Recipe, "budget"),
    "positives": _choices(Recipe, "positives"),
    "mode": MODES,
}


def checked(recipe: Recipe) -> Recipe:
    """Return the recipe, all of whose names exist and numbers make sense.

    Raises:
        Mistake: naming the first that does not.
    """
    for path, value in flattened(recipe):
        for ending, names in _NAMES.items():
            if f".{path}".endswith(f".{ending}") and value not in names:
                raise unknown(path, value, names)
        bounds = _BOUNDS.get(path.rpartition(".")[2])
        if bounds is None or not isinstance(value, int | float):
            continue
        # A NaN compares false with everything, so it is refused too.
        if not bounds[0] <= value <= bounds[1] or value > _LARGEST:
            limit = "" if math.isinf(bounds[1]) else f" to {bounds[1]:g}"
            least = f"at least {bounds[0]:g}" if not limit else f"in {bounds[0]:g}{limit}"
            raise Mistake(f"{path} is {_short(value)}: it has to be finite and {least}")
    if not recipe.name.isprintable() or len(recipe.name) > _LONGEST_NAME:
        raise Mistake("a recipe's name is a line of text")
    for path, walk in walks(recipe).items():
        if walk.steps > _MOST_STEPS:
            raise Mistake(f"{path}.steps is {walk.steps}: it has to be in 1 to {_MOST_STEPS}")
        if not walk.step_size > 0:
            raise Mistake(f"{path}.step_size is {walk.step_size:g}: a walk has to move")
        if walk.temperature is not None and (walk.noise or walk.clip or walk.inner > 1):
            raise Mistake(f"{path}.temperature stands alone: noise 0, clip null, inner 1")
    weights = recipe.weights
    if not (weights.cross_entropy or weights.adversarial or weights.likelihood):
        raise Mistake("all weights are zero: give at least one objective a weight above 0")
    return recipe


def check_data(recipe: Recipe, data: DataSet, processes: int = 1) -> None:
    """Refuse a recipe whose numbers do not fit a data set.

    Args:
        recipe: to train.
        data: on what.
        processes: that train it together.

    Raises:
        Mistake: naming the first that does not.
    """
    size = min(data.shape[1:])
    # A single pixel is its own reflection.
    if recipe.augmentation.padding >= size and data.shape[1:] != (1, 1):
        raise Mistake(f"augmentation.padding is below the smaller side of the images, {size}")
    stride = recipe.network.stride if recipe.network.architecture == "wide-resnet" else 1
    if any(side % stride > stride // 2 for side in data.shape[1:]):
        sides = " x ".join(map(str, data.shape[1:]))
        raise Mistake(
            f"network.stride is {stride}, and the last pixels of {sides} images would not be seen: "
            "give one that divides both sides"
        )
    least, each = len(data.classes) * processes, " for each process" * (processes > 1)
    if recipe.weights.likelihood and recipe.chains.size < least:
        raise Mistake(f"chains.size is at least the number of classes{each}, {least}")
    rank, numbers = recipe.chains.rank, math.prod(data.shape)
    largest = int(torch.bincount(data.train.y).max())
    most = min(numbers, largest) - 1
    if rank is not None and rank > most:
        raise Mistake(
            f"chains.rank is {rank}: images have {numbers} numbers and the largest class {largest} "
            f"of them, so {f'it is at most {most}' if most else 'leave it null'}"
        )


def _short(value: float) -> str:
    return f"{value:g}" if abs(value) <= _LARGEST else "beyond any float"


def walks(recipe: Recipe) -> dict[str, Langevin]:
    """Return the recipe's Langevin walks by their paths."""
    sampling = recipe.sampling
    return {
        "walk": recipe.walk,
        "sampling.combined": sampling.combined,
        "sampling.energy": sampling.energy,
        "sampling.unconditional": sampling.unconditional,
    }
