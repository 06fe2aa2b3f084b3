"""The figures of a set of images, in one flat mapping."""

from __future__ import annotations

from typing import Any

from jemstone.data import Images
from jemstone.experiments.sight import Eyes
from jemstone.metrics import Seen, compare, look

__all__ = ["FIGURES", "figures_of"]

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
