r"""A flow over images: an invertible map to Gaussian noise, and so a density with a formula.

.. math:: \log p(x | y) = \log N(f(x); \mu_y, \mathrm{diag}(\sigma_y^2)) + \log |\det f'(x)|
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from jemstone.errors import Mistake
from jemstone.memory import refuse_beyond_memory
from jemstone.types import Generator

__all__ = ["Architecture", "ImageFlow", "library"]

Shape = tuple[int, int, int]

_LEVELS = 256  # of a byte
_COPIES = 4  # of each weight: itself, its gradient, Adam's two moments
_RANGES = {"levels": (1, 8), "blocks": (0, 256), "hidden": (1, 4096)}


def library() -> Any:
    """Return normflows.

    Raises:
        Mistake: where it is not installed.
    """
    try:
        import normflows
    except ImportError as error:
        raise Mistake("flows are an extra: pip install 'jemstone[flows]'") from error
    return normflows


@dataclass(frozen=True)
class Architecture:
    """The size of a flow.

    Args:
        levels: L, resolutions; fewer where an image cannot be halved as often.
        blocks: K, at each resolution.
        hidden: channels inside a block.
        squeezed: begin at half the height and width. Glow always does.

    Raises:
        Mistake: where a number is outside what flows have.
    """

    levels: int
    blocks: int
    hidden: int
    squeezed: bool = True

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise Mistake(f"a flow's {name} is from {least} to {most}, not {value!r}")

    def halvings(self, shape: Shape) -> int:
        """Return how often images are halved.

        >>> Architecture(levels=3, blocks=8, hidden=64).halvings((1, 28, 28))
        2

        Args:
            shape: (C, H, W).

        Raises:
            Mistake: where they cannot be halved even once.
        """
        wanted, able = self.levels - (not self.squeezed), 0
        while able < wanted and not any(side % 2 ** (able + 1) for side in shape[1:]):
            able += 1
        if wanted and not able:
            raise Mistake(
                f"a flow halves images, and those of {shape[1]}x{shape[2]} pixels have no half: "
                "use images of even height and width"
            )
        return able


class ImageFlow(nn.Module, abc.ABC):
    """A density over images in [0, 1], given their classes.

    Args:
        shapes: (C, H, W) of each part of the noise.
        classes: K.

    Raises:
        Mistake: where normflows is not installed, or the machine cannot hold the Gaussians.
    """

    estimator: str
    """How ``log |det|`` is computed in eval mode."""
    form: int = 1
    """Which maps its weights are of: another number where the same weights would mean others."""

    def __init__(self, shapes: list[Shape], classes: int) -> None:
        super().__init__()
        gaussian = library().distributions.ClassCondDiagGaussian
        numbers = 2 * classes * sum(math.prod(shape) for shape in shapes)
        refuse_beyond_memory(4 * _COPIES * numbers, "a flow's noise of every class")
        self.bases: Any = nn.ModuleList(gaussian(shape, classes) for shape in shapes)
        self.classes = classes

    @abc.abstractmethod
    def encode(self, x: Tensor, generator: Generator) -> tuple[list[Tensor], Tensor]:
        """Map images to the parts of their noise, and return ``log |det f'(x)|``, (B,), too.

        Args:
            x: images (B, C, H, W) in [0, 1].
            generator: of estimators; in eval mode image i's depend on (seed, i) alone.
        """

    @abc.abstractmethod
    def decode(self, z: list[Tensor]) -> Tensor:
        """Map noise back to images (B, C, H, W), which may leave [0, 1]."""

    def moved(self) -> None:
        """Restore what invertibility hangs on, after a step of the optimiser."""

    @torch.no_grad()
    def settle(self, x: Tensor, generator: Generator) -> None:
        """Initialise the layers that are set by data, so that each gives mean 0 and scale 1.

        Args:
            x: training images (B, C, H, W) in [0, 1].
            generator: the randomness.
        """
        self.encode(x, generator)

    def log_prob(self, x: Tensor, y: Tensor | None, generator: Generator) -> Tensor:
        r"""Return ``log p(x | y)`` in nats, or ``log p(x)`` where all classes are as likely, (B,).

        Args:
            x: images (B, C, H, W) in [0, 1].
            y: labels, int64 (B,); None for :math:`p(x) = \frac{1}{K} \sum_y p(x | y)`.
            generator: of estimators.
        """
        z, log_det = self.encode(x, generator)
        if y is not None:
            return log_det + self._noise_log_prob(z, y)
        labels = torch.arange(self.classes, device=x.device)[:, None].expand(-1, len(x))
        each = torch.stack([self._noise_log_prob(z, label) for label in labels])
        return log_det + each.logsumexp(0) - math.log(self.classes)

    @torch.no_grad()
    def sample(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw an image for each label: of whole bytes, since the flow learnt bytes with noise.

        Args:
            y: labels, int64 (B,).
            generator: the randomness; image i depends on (seed, i) alone.

        Returns:
            Images (B, C, H, W) in [0, 1]; what overflowed stays infinite or NaN, to be counted.
        """
        z: list[Tensor] = []
        for part, base in enumerate(self.bases):
            mean, log_scale = (p[..., y].movedim(-1, 0) for p in (base.loc, base.log_scale))
            noise = generator.fold("noise", part).normal(mean.shape, device=mean.device)
            z.append(mean + log_scale.exp() * noise)
        x = self.decode(z)
        whole = (_LEVELS * x).floor().clamp(0, _LEVELS - 1) / (_LEVELS - 1)
        return torch.where(x.isfinite(), whole, x)

    def _noise_log_prob(self, z: list[Tensor], y: Tensor) -> Tensor:
        parts = [base.log_prob(part, y) for base, part in zip(self.bases, z, strict=True)]
        return torch.stack(parts).sum(0)
