"""When a run is lost, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Diverged", "Guard"]

_LIMITED = ("loss", "likelihood")


class Diverged(RuntimeError):
    """Training left the realm of finite or sane numbers.

    Args:
        step: at which.
        reason: which number, and how large.
    """

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(
            f"diverged at step {step}: {reason}; try a lower optimisation.learning_rate, "
            "more walk steps (walk.steps), or optimisation.clip_norm"
        )
        self.step = step


@dataclass(frozen=True)
class Guard:
    """Watch the loss terms of every step.

    Args:
        limit: the largest sane loss, or gap between the energies of data and samples. The energies
            themselves have no natural level, and a gradient's norm is clipped: those need only
            be finite. JEM and JEM++ stop at 1e8.
    """

    limit: float = 1e8

    def check(self, step: int, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the terms as numbers.

        Raises:
            Diverged: where one is not finite, or beyond the limit.
        """
        numbers = {name: float(term) for name, term in terms.items()}
        for name, number in numbers.items():
            too_large = name in _LIMITED and abs(number) > self.limit
            if not math.isfinite(number) or too_large:
                raise Diverged(step, f"{name} is {number:.4g}")
        return numbers
