"""The figures of a sampler, with what they cost."""

from __future__ import annotations

import time
from typing import Any

from jemstone.data import Images, to_bytes
from jemstone.experiments.drawing import balanced_labels, draw
from jemstone.experiments.sight import Eyes
from jemstone.metrics import compare, look
from jemstone.model import JointEnergyModel
from jemstone.samplers import Sampler, Walk
from jemstone.training import Device
from jemstone.types import Generator

__all__ = ["FIGURES", "figures_of", "passes"]

FIGURES = ("is", "fid", "precision", "recall", "density", "coverage", "agreement")


def passes(sampler: Sampler) -> int:
    """Count the passes through the network, forward and back, that an image takes."""
    return sum(stage.steps for stage in sampler.stages.stages if isinstance(stage, Walk))


def figures_of(
    model: JointEnergyModel,
    sampler: Sampler,
    eyes: Eyes,
    *,
    count: int,
    classes: int,
    generator: Generator,
    device: Device,
) -> dict[str, Any]:
    """Draw samples, class-balanced and from scratch, and judge them.

    Args:
        model: on the device.
        sampler: from scratch.
        eyes: the judge, and what it has seen.
        count: samples.
        classes: K.
        generator: one and the same for all samplers: they start from the same draws.
        device: where to draw, and in which precision.

    Returns:
        :data:`FIGURES`, ``nearest`` (median distance in pixels to the nearest training image over
        the held-out images' own), ``spread`` (of pixels within a class over the held-out
        images'), ``seconds_per_image`` and ``passes_per_image``.
    """
    y = balanced_labels(count, classes)
    began = time.perf_counter()
    x = draw(model, sampler, y, generator.fold("samples"), device=device)
    seconds = (time.perf_counter() - began) / count
    seen = look(Images(to_bytes(x), y), eyes.judge)
    found = compare(seen, eyes.reference, eyes.learnt, eyes.yardstick)
    near = found["nearest_neighbour"]
    return {
        **{name: found[name] for name in FIGURES},
        "nearest": near["pixel"] / near["pixel_held_out"],
        "spread": found["spread"]["pixel"],
        "seconds_per_image": seconds,
        "passes_per_image": passes(sampler),
    }
