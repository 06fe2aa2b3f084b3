"""The figures of a sampler, with what they cost."""

from __future__ import annotations

import time
from typing import Any

from jemstone.data import Images, to_bytes
from jemstone.experiments.drawing import Exploded, balanced_labels, draw
from jemstone.experiments.figures import figures_of
from jemstone.experiments.sight import Eyes
from jemstone.model import JointEnergyModel
from jemstone.samplers import Sampler
from jemstone.training import Device
from jemstone.types import Generator

__all__ = ["FIGURES", "sampled_figures"]

_OF_IMAGES = (
    *("is", "fid", "precision", "recall", "density", "coverage", "agreement"),
    *("nearest", "spread"),
)
FIGURES = (*_OF_IMAGES, "seconds_per_image", "passes_per_image")


def sampled_figures(
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
        :data:`FIGURES`; those of images are :func:`jemstone.experiments.figures.figures_of`'s.
        Where samples explode, which a setting may well do, there are none but the passes.
    """
    y = balanced_labels(count, classes)
    began = time.perf_counter()
    try:
        x = draw(model, sampler, y, generator.fold("samples"), device=device)
    except Exploded:
        return dict.fromkeys(FIGURES) | {"passes_per_image": sampler.passes}
    seconds = (time.perf_counter() - began) / count
    found = figures_of(Images(to_bytes(x), y), eyes)
    return {
        **{name: found[name] for name in _OF_IMAGES},
        "seconds_per_image": seconds,
        "passes_per_image": sampler.passes,
    }
