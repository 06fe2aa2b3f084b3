"""Where chains begin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.files import read_tensors, write_tensors
from jemstone.functional.gaussian import draw_gaussian, fit_gaussian
from jemstone.types import Generator

__all__ = ["ClassGaussian", "Uniform"]

_WHOLE = torch.int64


@dataclass(frozen=True)
class Uniform:
    """Draw every pixel from U[0, 1], whatever the class: JEM's init.

    Args:
        shape: (C, H, W).
    """

    shape: tuple[int, int, int]

    def __call__(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label of ``y`` (B,), on its device."""
        return generator.uniform((len(y), *self.shape), device=y.device)


@dataclass(frozen=True)
class ClassGaussian:
    r"""Draw from :math:`N(\mu_y, \Sigma_y)`, clamped to [0, 1]: JEM++'s init.

    References:
        Yang & Ji, 2021, https://arxiv.org/abs/2109.09032

    Args:
        means: :math:`\mu`, (K, D).
        factors: Cholesky factors of :math:`\Sigma`, (K, D, D).
        shape: (C, H, W), D numbers.
    """

    means: Tensor
    factors: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def fit(
        cls, images: Tensor, labels: Tensor, classes: int | None = None, *, jitter: float = 2.5e-5
    ) -> ClassGaussian:
        """Fit one Gaussian per class; one with fewer than two images takes from the others.

        Args:
            images: (N, C, H, W) in [0, 1].
            labels: int64 (N,).
            classes: K; by default one more than the largest label.
            jitter: added to the variances; JEM++'s 1e-4 in [-1, 1] is 2.5e-5 here.

        Raises:
            Mistake: where a label is of no class, lengths differ, or pixels lie outside [0, 1].
        """
        if len(labels) != len(images) or not len(images):
            raise Mistake(f"{len(images)} images have {len(labels)} labels: give one for each")
        if not ((images >= 0) & (images <= 1)).all():
            raise Mistake("pixels lie outside [0, 1]: rescale the images")
        count = int(labels.max()) + 1 if classes is None else classes
        if not 0 <= int(labels.min()) <= int(labels.max()) < count:
            raise Mistake(f"a label is outside 0..{count - 1}")
        try:
            means, factors = fit_gaussian(images, labels, count, jitter)
        except RuntimeError as error:  # of the Cholesky factorisation
            raise Mistake("pixels that hardly vary need more jitter for a Gaussian") from error
        return cls(means, factors, (images.shape[1], images.shape[2], images.shape[3]))

    def __call__(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label of ``y`` (B,), on its device."""
        home = self.means.device
        normal = generator.normal((len(y), math.prod(self.shape)), device=home)
        x = draw_gaussian(self.means, self.factors, y.to(home), normal)
        return x.clamp(0.0, 1.0).reshape(-1, *self.shape).to(y.device)

    def to(self, device: torch.device | str) -> ClassGaussian:
        """Return the Gaussian whose statistics, and draws, are on that device."""
        return ClassGaussian(self.means.to(device), self.factors.to(device), self.shape)

    def save(self, path: Path) -> None:
        """Write the statistics as safetensors."""
        tensors = {"means": self.means, "factors": self.factors, "shape": torch.tensor(self.shape)}
        write_tensors(path, tensors)

    @classmethod
    def load(cls, path: Path) -> ClassGaussian:
        """Read what :meth:`save` wrote.

        Raises:
            Mistake: where the file is missing or broken.
        """
        tensors = read_tensors(path)
        try:
            channels, height, width = tensors["shape"].tolist()
            means, factors = tensors["means"], tensors["factors"]
        except (KeyError, TypeError, ValueError) as error:
            raise Mistake(f"{path} does not hold class-Gaussian statistics") from error
        shape = (channels, height, width)
        classes, size = len(means) if means.dim() else 0, math.prod(shape)
        fitting = (means.shape, factors.shape) == ((classes, size), (classes, size, size))
        real = means.dtype == factors.dtype == torch.float32 and tensors["shape"].dtype == _WHOLE
        if not (fitting and real and classes and min(shape) > 0):
            raise Mistake(f"{path} does not hold class-Gaussian statistics that fit each other")
        return cls(means, factors, shape)
