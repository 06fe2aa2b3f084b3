"""Stages that move images without asking the model."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from jemstone.types import EnergyModel, Generator

__all__ = ["Clamp", "ReduceContrast", "Transform"]


class Transform(abc.ABC):
    """A map from images to images."""

    @abc.abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """Return the moved images, of ``x``'s shape."""

    def __call__(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Tensor:
        """Return the moved images, of ``x``'s shape."""
        return self.apply(x)

    def iterate(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Iterator[Tensor]:
        """Yield the moved images."""
        yield self.apply(x)


@dataclass(frozen=True)
class ReduceContrast(Transform):
    r"""Make room for a walk that is not clamped: :math:`x \leftarrow c + f (x - c)`.

    References:
        Korst & Asadulaev, 2022, https://arxiv.org/abs/2207.08950; the paper states neither
        :math:`f` nor :math:`c`.

    Args:
        factor: :math:`f`.
        pivot: :math:`c`; 0.5 is mid-grey.
    """

    factor: float
    pivot: float = 0.5

    def apply(self, x: Tensor) -> Tensor:
        return self.pivot + self.factor * (x - self.pivot)


@dataclass(frozen=True)
class Clamp(Transform):
    """Bring the images back into the box.

    Args:
        low: lowest pixel.
        high: highest pixel.
    """

    low: float = 0.0
    high: float = 1.0

    def apply(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)
