"""The figures of a set of images, and what it costs to draw one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images, to_bytes
from jemstone.errors import Mistake
from jemstone.experiments.reproduction.peak import read_peak, reset_peak
from jemstone.experiments.sight import Eyes
from jemstone.metrics import Seen, compare, look
from jemstone.samplers import Sampler, Walk
from jemstone.training import Device

__all__ = ["COSTS", "FIGURES", "drawn", "figures_of", "passes"]

FIGURES = (
    "is",
    "fid",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "agreement",
    "nearest",
    "spread",
    "feature_spread",
)
"""``nearest`` is the median distance in pixels to the nearest training image, over that of the
held-out images; ``spread`` that of pixels within a class, over the held-out images', and
``feature_spread`` that of features."""

COSTS = ("seconds_per_image", "passes_per_image", "peak_bytes")


def figures_of(images: Images | Seen, eyes: Eyes) -> dict[str, Any]:
    """Compute :data:`FIGURES`, and ``n``.

    Args:
        images: with the labels that they were meant to have, or what the judge saw of them.
        eyes: the judge, and what it has seen.
    """
    seen = images if isinstance(images, Seen) else look(images, eyes.judge)
    found = compare(seen, eyes.reference, eyes.learnt, eyes.yardstick)
    near, spread = found["nearest_neighbour"], found["spread"]
    yardstick = near["pixel_held_out"]
    own = {
        "nearest": near["pixel"] / yardstick if yardstick else None,
        "spread": spread["pixel"],
        "feature_spread": spread["feature"],
    }
    return {"n": found["n"], **{name: own.get(name, found.get(name)) for name in FIGURES}}


def passes(sampler: Sampler) -> int:
    """Count the passes through the network, forward and back, that an image takes."""
    return sum(stage.steps for stage in sampler.stages.stages if isinstance(stage, Walk))


def drawn(
    draw: Callable[[], Tensor], count: int, steps: int, device: Device
) -> tuple[Tensor, dict[str, Any]]:
    """Draw images, and return their bytes with :data:`COSTS`.

    Args:
        draw: returns images (N, C, H, W) in [0, 1].
        count: N.
        steps: passes through the network for each.
        device: that draws.

    Raises:
        Mistake: where a pixel is not finite.
    """
    fresh, began = reset_peak(device), time.perf_counter()
    x = draw()
    seconds = (time.perf_counter() - began) / count
    if not torch.isfinite(x).all():
        raise Mistake("samples have pixels that are not finite: the network's energy has exploded")
    cost = {
        "seconds_per_image": seconds,
        "passes_per_image": steps,
        "peak_bytes": read_peak(device, fresh),
    }
    return to_bytes(x.cpu()), cost
