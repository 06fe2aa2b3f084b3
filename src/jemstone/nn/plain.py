"""The judge's network for images of 16x16 pixels and more: plain, wide, and quick to train.

References:
    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024,
    https://arxiv.org/abs/2404.00498
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jemstone.errors import Mistake
from jemstone.functional.moments import moments

__all__ = ["PlainNet"]

_PATCH = 2  # pixels, each way
_MOST_GROUPS, _WIDEST = 8, 4096
_LAYERS_OF_A_GROUP, _TENSORS_OF_A_GROUP = 7, 12
_LEAST_VARIANCE = 5e-4  # of a whitened direction, so that the faintest are not blown up to noise


class PlainNet(nn.Module):
    """A whitening stem, then groups of convolve, halve, normalise, rectify, and convolve again.

    No shortcuts: another family than the wide ResNets it judges. The stem is set from data by
    :meth:`whiten` and never trained, so no gradient is needed where images are largest.

    Args:
        channels: C of the images.
        classes: K.
        widths: channels of each group; the last is the width of the features.

    Raises:
        Mistake: for no group or too many, or one with no channels or too many.
    """

    architecture: ClassVar[str] = "plainnet"

    def __init__(self, channels: int, classes: int, widths: Sequence[int] = (64, 256, 256)) -> None:
        super().__init__()
        widths = list(widths)
        if not 1 <= len(widths) <= _MOST_GROUPS or not 1 <= min(widths) <= max(widths) <= _WIDEST:
            raise Mistake(
                f"a plain network has 1 to {_MOST_GROUPS} groups of 1 to {_WIDEST} channels"
            )
        self.config: dict[str, Any] = {"channels": channels, "classes": classes, "widths": widths}
        before = 2 * channels * _PATCH**2
        self.stem = nn.Conv2d(channels, before, _PATCH, bias=False).requires_grad_(False)
        layers: list[nn.Module] = [nn.ReLU()]
        for width in widths:
            layers += [_conv(before, width), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [_conv(width, width), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.trunk = nn.Sequential(*layers)
        self.linear = nn.Linear(before, classes)

    @classmethod
    def fitting(cls, weights: Mapping[str, Tensor]) -> PlainNet:
        """Return an empty network of the shapes of some weights.

        Args:
            weights: by the names of a state.

        Raises:
            KeyError: where they are not of such a network.
        """
        groups = sum(name.startswith("trunk.") for name in weights) // _TENSORS_OF_A_GROUP
        firsts = [f"trunk.{1 + _LAYERS_OF_A_GROUP * group}.weight" for group in range(groups)]
        return cls(
            channels=weights["stem.weight"].shape[1],
            classes=weights["linear.weight"].shape[0],
            widths=[weights[name].shape[0] for name in firsts],
        )

    @torch.no_grad()
    def whiten(self, x: Tensor) -> None:
        r"""Set the stem to :math:`\pm \Lambda^{-1/2} V^T`, of the covariance of small patches.

        What the trunk then sees has uncorrelated directions of one scale, which is most of what
        the first epochs would otherwise have to learn.

        Args:
            x: images (B, C, H, W), as the network gets them.
        """
        patches = (F.unfold(part, _PATCH).movedim(1, 2).flatten(0, 1) for part in x.split(256))
        variances, directions = torch.linalg.eigh(moments(patches).covariance)
        filters = (directions / (variances + _LEAST_VARIANCE).sqrt()).T
        filters = filters.reshape(-1, *self.stem.weight.shape[1:])
        self.stem.weight.copy_(torch.cat([filters, -filters]))

    def features(self, x: Tensor) -> Tensor:
        """Return the last layer before the logits, (B, widths[-1])."""
        return F.adaptive_avg_pool2d(self.trunk(self.stem(x)), 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.features(x))
        return logits


def _conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False)
