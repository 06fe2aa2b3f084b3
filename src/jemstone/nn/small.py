"""Tiny networks: the judge of small images, and what tests can afford."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvNet"]


class ConvNet(nn.Module):
    """Plain convolutions without shortcuts: another family than the networks it judges.

    Args:
        channels: C of the images.
        classes: K.
        width: channels of the first layer; the features are ``2 width`` wide.
    """

    architecture: ClassVar[str] = "convnet"

    def __init__(self, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"channels": channels, "classes": classes, "width": width}
        layers: list[nn.Module] = []
        before = channels
        for out, stride in ((width, 1), (width, 1), (2 * width, 2), (2 * width, 1)):
            layers += [
                nn.Conv2d(before, out, kernel_size=3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            before = out
        self.trunk = nn.Sequential(*layers)
        self.linear = nn.Linear(before, classes)

    @classmethod
    def fitting(cls, weights: Mapping[str, Tensor]) -> ConvNet:
        """Return an empty network of the shapes of some weights.

        Args:
            weights: by the names of a state.

        Raises:
            KeyError: where they are not of such a network.
        """
        width, channels = weights["trunk.0.weight"].shape[:2]
        return cls(channels, weights["linear.weight"].shape[0], width)

    def features(self, x: Tensor) -> Tensor:
        """Return the last layer before the logits, (B, 2 width)."""
        return F.adaptive_avg_pool2d(self.trunk(x), 1).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.features(x))
        return logits
