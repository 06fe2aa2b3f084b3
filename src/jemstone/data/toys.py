r"""Moons and spirals: data in the plane, whose density is known.

A point :math:`(x_1, x_2)` of the unit square is an image of two channels and one pixel, so
recipes, walks, balls and metrics take it as any other image. Each class is a curve with Gaussian
noise about it, and the second class is the first, turned by half around the middle of the square.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from jemstone.data.image_set import DataSet, Images
from jemstone.random import Generator

__all__ = ["TOYS", "Toy", "load_toy"]

_SEED = 0
_TRAIN, _TEST = 4000, 2000
_NODES = 128  # of the quadrature along a curve: steps are shorter than the noise
_AT_ONCE = 8192  # points, of a density


@dataclass(frozen=True)
class Toy:
    r"""Two classes in the plane: :math:`x = c \pm \gamma(t) + \sigma n`, :math:`t \sim U[0, 1]`.

    :math:`c = (½, ½)`, the sign is that of the class, and :math:`n \sim N(0, I)`. The box [0, 1]²
    holds all but a ten millionth of the mass.

    Args:
        curve: :math:`\gamma`, from :math:`t` (N,) to the offsets from :math:`c`, (N, 2).
        noise: :math:`\sigma`, in [0, 1] pixels.
    """

    curve: Callable[[Tensor], Tensor]
    noise: float

    def draw(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw one point for each label.

        Args:
            y: labels, int64 (N,), 0 or 1.
            generator: the randomness.

        Returns:
            Points as images, float32 (N, 2, 1, 1).
        """
        t = generator.fold("curve").uniform((len(y), 1), dtype=torch.float64)[:, 0]
        noise = generator.fold("noise").normal((len(y), 2), dtype=torch.float64)
        x = 0.5 + _sign(y)[:, None] * self.curve(t) + self.noise * noise
        return x.float()[:, :, None, None]

    def log_density(self, x: Tensor) -> Tensor:
        r"""Compute :math:`\log p(x | y) = \log \int_0^1 N(x; c \pm \gamma(t), \sigma^2 I) \, dt`.

        By Gauss and Legendre's rule, whose error is far below float32's. As both classes are as
        frequent, :math:`p(x)` is the mean of the two densities.

        Args:
            x: points, (N, 2).

        Returns:
            For each class, float64 (N, 2).
        """
        t, weights = (torch.from_numpy(part) for part in leggauss(_NODES))  # of [-1, 1]
        nodes = self.curve((t + 1) / 2)
        shares = (weights / 2).log() - math.log(2 * math.pi * self.noise**2)
        columns = []
        for sign in (1.0, -1.0):
            distances = (
                torch.cdist(part, 0.5 + sign * nodes) for part in x.double().split(_AT_ONCE)
            )
            exponents = (shares - distance.square() / (2 * self.noise**2) for distance in distances)
            columns.append(torch.cat([exponent.logsumexp(dim=1) for exponent in exponents]))
        return torch.stack(columns, dim=1)


def _sign(y: Tensor) -> Tensor:
    return 1.0 - 2.0 * y


def _moon(t: Tensor) -> Tensor:
    """Half an ellipse, whose end lies within the other's."""
    angle = math.pi * t
    return torch.stack([0.22 * (angle.cos() - 0.5), 0.34 * (angle.sin() - 0.25)], dim=1)


def _spiral(t: Tensor) -> Tensor:
    """A full turn outwards, as densely settled outside as inside."""
    inside, outside = 0.06, 0.36
    radius = (inside**2 + t * (outside**2 - inside**2)).sqrt()
    angle = 2 * math.pi * (radius - inside) / (outside - inside)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


TOYS: dict[str, Toy] = {"moons": Toy(_moon, noise=0.035), "spirals": Toy(_spiral, noise=0.025)}
"""The toys, by name."""


def load_toy(name: str) -> DataSet:
    """Draw a toy: 4,000 points to train on, 2,000 held out, the same ones every time.

    Args:
        name: of :data:`TOYS`.
    """
    generator = Generator(_SEED).fold(name)

    def images(split: str, count: int) -> Images:
        y = torch.arange(count) % 2
        return Images(TOYS[name].draw(y, generator.fold(split)), y)

    return DataSet(name, images("train", _TRAIN), images("test", _TEST), ("0", "1"), flip=False)
