"""The geometry of threat models: balls around an image, in [0, 1] pixel units.

References:
    Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018,
    https://arxiv.org/abs/1706.06083
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from jemstone.errors import Mistake, unknown
from jemstone.random import Generator

__all__ = ["BALLS", "L2", "Ball", "Linf", "ball"]


def _over_images(values: Tensor, x: Tensor) -> Tensor:
    """Stretch one number per image, (B,), over the images' shape."""
    return values.reshape(-1, *[1] * (x.dim() - 1))


@dataclass(frozen=True)
class Ball(abc.ABC):
    """The set of perturbations of norm at most ``eps``.

    Args:
        eps: the radius, in [0, 1] pixels.

    Raises:
        Mistake: for a negative radius.
    """

    eps: float

    def __post_init__(self) -> None:
        if not self.eps >= 0:
            raise Mistake(f"a ball's radius is 0 or more, not {self.eps:g}")

    @abc.abstractmethod
    def norm(self, delta: Tensor) -> Tensor:
        """Measure perturbations (B, ...): their norms, (B,)."""

    @abc.abstractmethod
    def project(self, x: Tensor, center: Tensor) -> Tensor:
        """Return the point of the ball around ``center`` nearest to ``x`` in L2, (B, ...)."""

    @abc.abstractmethod
    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw perturbations of ``x``'s shape, uniform in the ball."""

    @abc.abstractmethod
    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the direction of norm 1 that most increases ``<gradient, direction>``."""


@dataclass(frozen=True)
class Linf(Ball):
    r""":math:`\{\delta : \max_i |\delta_i| \le \epsilon\}`."""

    def norm(self, delta: Tensor) -> Tensor:
        return delta.abs().flatten(1).amax(dim=1)

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(x, center - self.eps), center + self.eps)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        draws = generator.uniform(x.shape, dtype=x.dtype, device=x.device)
        return (2.0 * draws - 1.0) * self.eps

    def steepest(self, gradient: Tensor) -> Tensor:
        return gradient.sign()


@dataclass(frozen=True)
class L2(Ball):
    r""":math:`\{\delta : \|\delta\|_2 \le \epsilon\}`."""

    def norm(self, delta: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(delta.flatten(1), dim=1)
        return norm

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        delta = x - center
        shrink = self.eps / self.norm(delta).clamp_min(torch.finfo(x.dtype).tiny)
        return torch.where(_over_images(shrink < 1, x), center + delta * _over_images(shrink, x), x)

    def sample(self, x: Tensor, generator: Generator) -> Tensor:
        size = math.prod(x.shape[1:])
        normal = generator.fold("direction").normal(x.shape, dtype=x.dtype, device=x.device)
        share = generator.fold("radius").uniform((len(x), 1), dtype=x.dtype, device=x.device)
        radius = self.eps * share[:, 0] ** (1.0 / size)
        return self.steepest(normal) * _over_images(radius, x)

    def steepest(self, gradient: Tensor) -> Tensor:
        # By its largest entry first: squares of tiny gradients would underflow.
        tiny = torch.finfo(gradient.dtype).tiny
        largest = gradient.abs().flatten(1).amax(dim=1).clamp_min(tiny)
        gradient = gradient / _over_images(largest, gradient)
        return gradient / _over_images(self.norm(gradient).clamp_min(tiny), gradient)


BALLS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2}


def ball(norm: str, eps: float) -> Ball:
    """Build the ball that a recipe names: ``linf`` or ``l2``, of radius ``eps``.

    >>> ball("linf", 0.1)
    Linf(eps=0.1)

    Raises:
        Mistake: for another norm.
    """
    if norm not in BALLS:
        raise unknown("norm", norm, BALLS)
    return BALLS[norm](eps)
