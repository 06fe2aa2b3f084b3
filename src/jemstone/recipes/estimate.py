"""What a run will need, told before it starts: memory, part by part.

The parts are counted from shapes alone: the network is built without weights, and one image is
passed through it without numbers.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jemstone.errors import Mistake, brief
from jemstone.functional.gaussian import count_numbers
from jemstone.functional.principal import sketch_size
from jemstone.memory import gibibytes
from jemstone.nn import outline
from jemstone.recipes.build import network_arguments
from jemstone.recipes.schema import Recipe, changed, flattened
from jemstone.training import TRAIL

__all__ = ["Estimate", "estimate", "refuse_oversized"]

_FLOAT, _DOUBLE = 4, 8
_PROGRAM = 760 * 2**20  # the interpreter with its libraries, as measured
_DRAWING = 5  # copies of the replay buffer while it is first drawn: words, their halves, normals
_READING = 2**27  # chunks of images, while Gaussians are fitted to them
_RANK = 64  # the first that is named where full covariances do not fit
_KNOBS = {
    # what makes a part smaller
    "class Gaussians": "chains.rank",
    "replay buffer": "chains.size",
    "passes": "optimisation.batch_size",
    "weights": "network.width",
}


@dataclass(frozen=True)
class Estimate:
    """Bytes by part.

    Args:
        parts: what is kept, and for what.
    """

    parts: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        return f"about {gibibytes(self.total)}"


@functools.lru_cache(maxsize=64)
def _measured(
    architecture: str, arguments: tuple[tuple[str, object], ...], shape: tuple[int, int, int]
) -> tuple[int, int]:
    """Return the numbers in the weights, and those that a pass of one image keeps."""
    network = outline(architecture, dict(arguments)).eval()
    kept = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal kept
        kept += output.numel()

    for layer in network.modules():
        if not list(layer.children()) and not isinstance(layer, nn.Identity):
            layer.register_forward_hook(count)
    try:
        with torch.no_grad():
            network(torch.empty(1, *shape, device="meta"))
    except RuntimeError as error:
        channels, height, width = shape
        raise Mistake(
            f"{architecture} cannot read images of {height} x {width} pixels and {channels} "
            f"channels: {brief(error)}"
        ) from error
    return sum(p.numel() for p in network.parameters()), kept


def estimate(
    recipe: Recipe,
    shape: tuple[int, int, int],
    classes: int,
    images: int,
    resident: int | None = None,
) -> Estimate:
    """Estimate the memory of a run.

    Args:
        recipe: of the run.
        shape: (C, H, W).
        classes: K.
        images: training images.
        resident: bytes of images that stay in memory; by default those of all training images.
            Images that are mapped from a file take none.

    Raises:
        Mistake: for a network that cannot be built, or cannot read such images.
    """
    architecture, arguments = network_arguments(recipe, shape[0], classes)
    weights, kept = _measured(architecture, tuple(arguments.items()), shape)
    size, parts, optimisation = math.prod(shape), recipe.weights, recipe.optimisation
    # Weights, momenta and the average; the gradient, and the copy that a checkpoint is made of;
    # and what a run may go back to, with one more while it is made.
    remembered = 1 + (2 if optimisation.optimiser == "adam" else 1) + (optimisation.ema > 0)
    copies = remembered + 2 + (TRAIL + 1) * remembered * (recipe.guard.retries > 0)
    # Each objective keeps its passes until the step's gradient. A walk's own, and an attack's,
    # are let go before the pass over its end, which is as large.
    passes = 2 * (parts.likelihood > 0) + (parts.cross_entropy > 0) + (parts.adversarial > 0)
    batch = min(optimisation.batch_size, images)
    chains = recipe.chains.size if parts.likelihood > 0 else 0
    moving = {
        "weights": weights * _FLOAT * copies,
        "passes": batch * kept * _FLOAT * passes,
        "replay buffer": chains * size * _FLOAT * _DRAWING,
    }
    # The statistics; and before training their copy to be written, and what they are made in.
    rank = recipe.chains.rank
    statistics = count_numbers(size, classes, rank) * _FLOAT
    # Covariance and factor; or a basis, what becomes of it, and two copies while it is made.
    making = size * (3 * size if rank is None else 4 * sketch_size(size, rank))
    fitting = statistics + (making + classes * size) * _DOUBLE + min(_READING, images * size * 16)
    return Estimate(
        {
            "program": _PROGRAM,
            "images": images * size if resident is None else resident,
            "class Gaussians": statistics + max(0, fitting - sum(moving.values())),
            **moving,
        }
    )


def refuse_oversized(
    recipe: Recipe,
    shape: tuple[int, int, int],
    classes: int,
    images: int,
    there: int | None,
    resident: int | None = None,
) -> Estimate:
    """Estimate the memory of a run, and refuse one that cannot fit.

    Args:
        recipe: of the run.
        shape: (C, H, W).
        classes: K.
        images: training images.
        there: bytes that there are; None where that is not known.
        resident: see :func:`estimate`.

    Raises:
        Mistake: naming the settings with which it would fit.
    """
    needed = estimate(recipe, shape, classes, images, resident)
    if there is None or needed.total <= there:
        return needed
    told = f"this run needs {needed}, there are {gibibytes(there)}"
    smaller, now = recipe, needed
    while now.total > there:
        numbers = dict(flattened(smaller))
        if numbers["chains.rank"] is None:
            # Twice what is named instead; no class has more directions than the largest can.
            first = min(_RANK, math.prod(shape) // 2, images // classes - 1)
            numbers["chains.rank"] = 2 * first
        least = dict.fromkeys(_KNOBS.values(), 1) | {"chains.size": classes}
        knobs = [
            (now.parts[part], field, max(least[field], numbers[field] // 2))
            for part, field in _KNOBS.items()
            if now.parts[part] and numbers[field] > least[field]
        ]
        if not knobs:
            largest = max(now.parts, key=lambda part: now.parts[part])
            raise Mistake(
                f"{told}, and no setting makes it fit: {largest} alone take "
                f"{gibibytes(now.parts[largest])}; give fewer classes, or smaller or fewer images"
            )
        _, field, value = max(knobs)
        smaller = changed(smaller, {field: value})
        now = estimate(smaller, shape, classes, images, resident)
    before = dict(flattened(recipe))
    settings = [
        f"--{field} {value}" for field, value in flattened(smaller) if value != before[field]
    ]
    raise Mistake(f"{told}: it fits with {' '.join(settings)}")
