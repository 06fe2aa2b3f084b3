"""Where chains begin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.files import read_tensors, write_tensors
from jemstone.functional.box import check_box
from jemstone.functional.gaussian import draw_gaussian, fit_gaussian, fit_low_rank
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

    :math:`\Sigma = F F^T + \mathrm{diag}(d^2)`: :math:`F` is a Cholesky factor alone, or a few
    principal directions with the pixels' remaining deviations :math:`d` beside them.

    References:
        Yang & Ji, 2021, https://arxiv.org/abs/2109.09032

    Args:
        means: :math:`\mu`, (K, D).
        factors: :math:`F`, (K, D, D), or (K, D, r) with deviations.
        shape: (C, H, W), D numbers.
        deviations: :math:`d`, (K, D); None for full covariances.
    """

    means: Tensor
    factors: Tensor
    shape: tuple[int, int, int]
    deviations: Tensor | None = None

    @classmethod
    def fit(
        cls,
        images: Tensor,
        labels: Tensor,
        classes: int | None = None,
        *,
        jitter: float = 2.5e-5,
        rank: int | None = None,
    ) -> ClassGaussian:
        """Fit one Gaussian per class; one with too few images takes from the others.

        Args:
            images: (N, C, H, W), float in [0, 1] or uint8; they are read in chunks.
            labels: int64 (N,).
            classes: K; by default one more than the largest label.
            jitter: added to the variances; JEM++'s 1e-4 in [-1, 1] is 2.5e-5 here.
            rank: principal directions of each class, 0 to D, with a diagonal for the rest; by
                default the covariance is full.

        Raises:
            Mistake: where a label is of no class, lengths differ, pixels lie outside [0, 1], or
                there are not so many directions.
        """
        labels = labels.cpu()
        if len(labels) != len(images) or not len(images):
            raise Mistake(f"{len(images)} images have {len(labels)} labels: give one for each")
        if images.is_floating_point():
            check_box(images)
        elif images.dtype != torch.uint8:
            raise Mistake(f"images are uint8, or float in [0, 1], not {images.dtype}")
        count = int(labels.max()) + 1 if classes is None else classes
        if not 0 <= int(labels.min()) <= int(labels.max()) < count:
            raise Mistake(f"a label is outside 0..{count - 1}")
        shape = (images.shape[1], images.shape[2], images.shape[3])
        if rank is not None:
            if not 0 <= rank <= math.prod(shape):
                raise Mistake(f"rank is {rank}: images of {math.prod(shape)} numbers have as many")
            means, factors, deviations = fit_low_rank(images, labels, count, jitter, rank)
            return cls(means, factors, shape, deviations)
        try:
            means, factors = fit_gaussian(images, labels, count, jitter)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            raise Mistake("pixels that hardly vary need more jitter for a Gaussian") from error
        return cls(means, factors, shape)

    def __call__(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label of ``y`` (B,), on its device."""
        home, size = self.means.device, math.prod(self.shape)
        count = self.factors.shape[2] + (0 if self.deviations is None else size)
        normal = generator.normal((len(y), count), device=home)
        x = draw_gaussian(self.means, self.factors, y.to(home), normal, self.deviations)
        return x.clamp(0.0, 1.0).reshape(-1, *self.shape).to(y.device)

    def to(self, device: torch.device | str) -> ClassGaussian:
        """Return the Gaussian whose statistics, and draws, are on that device."""
        rest = None if self.deviations is None else self.deviations.to(device)
        return ClassGaussian(self.means.to(device), self.factors.to(device), self.shape, rest)

    def save(self, path: Path) -> None:
        """Write the statistics as safetensors."""
        tensors = {"means": self.means, "factors": self.factors, "shape": torch.tensor(self.shape)}
        if self.deviations is not None:
            tensors["deviations"] = self.deviations
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
        shape, deviations = (channels, height, width), tensors.get("deviations")
        classes, size = len(means) if means.dim() else 0, math.prod(shape)
        rank = size if deviations is None or factors.dim() != 3 else factors.shape[2]
        kept = [(means, (classes, size)), (factors, (classes, size, rank))]
        kept += [] if deviations is None else [(deviations, (classes, size))]
        fitting = all((x.dtype, x.shape) == (torch.float32, wanted) for x, wanted in kept)
        whole = tensors["shape"].dtype == _WHOLE and min(shape) > 0
        if not (fitting and whole and classes and rank <= size):
            raise Mistake(f"{path} does not hold class-Gaussian statistics that fit each other")
        return cls(means, factors, shape, deviations)
