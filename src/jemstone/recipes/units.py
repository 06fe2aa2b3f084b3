"""From the papers' [-1, 1] pixels to ours in [0, 1]: the only place that knows both.

With :math:`u = 2x - 1`: a length in `u` is twice one in `x`, a gradient by `u` is half of one by
`x`. So a walk with the paper's constants on [-1, 1] is, image for image, the walk with the
converted constants on [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "UNITS",
    "Constant",
    "clip",
    "jitter",
    "length",
    "pivot",
    "raw_step",
    "same",
]


def same(quoted: Any) -> Any:
    """Keep a number that has no pixels in it, or is quoted in [0, 1]."""
    return quoted


def length(quoted: float) -> float:
    """Convert a radius, a sign or normalised step, or a noise: half."""
    return quoted / 2


def raw_step(quoted: float) -> float:
    """Convert the step that multiplies a raw gradient: a quarter."""
    return quoted / 4


def clip(quoted: float | None) -> float | None:
    """Convert the largest entry of a gradient: twice."""
    return None if quoted is None else quoted * 2


def jitter(quoted: float) -> float:
    """Convert a variance: a quarter."""
    return quoted / 4


def pivot(quoted: float) -> float:
    """Convert a pixel value: -1 to 0, 1 to 1."""
    return (quoted + 1) / 2


UNITS: dict[Callable[[Any], Any], str] = {
    same: "",
    length: "/ 2",
    raw_step: "/ 4",
    clip: "x 2",
    jitter: "/ 4",
    pivot: "(+ 1) / 2",
}


@dataclass(frozen=True)
class Constant:
    """One number of a paper, as it is quoted, and where it goes.

    Args:
        field: dotted path in the recipe.
        quoted: the number as the source prints it.
        source: paper, code, or "our choice" with its reason.
        unit: how it is converted.
    """

    field: str
    quoted: Any
    source: str
    unit: Callable[[Any], Any] = same

    @property
    def value(self) -> Any:
        """The number in our units."""
        return self.unit(self.quoted)
