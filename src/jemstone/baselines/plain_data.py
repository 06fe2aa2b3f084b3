"""The plain baseline's data: image by image through PIL, and statistics of all features at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["PlainImages", "plain_statistics"]


class PlainImages(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Training images, each moved by itself through PIL, with noise, in [-1, 1].

    Args:
        pixels: uint8 (N, H, W, C).
        labels: (N,).
        padding: of the crop.
        noise: standard deviation, in [-1, 1] pixels.
    """

    def __init__(self, pixels: Any, labels: Any, padding: int = 4, noise: float = 0.03) -> None:
        from torchvision import transforms as tr

        _, height, width, channels = pixels.shape
        self.pixels, self.labels = pixels, labels
        self.transform = tr.Compose(
            [
                tr.ToPILImage(),
                tr.Pad(padding, padding_mode="reflect"),
                tr.RandomCrop((height, width)),
                tr.RandomHorizontalFlip(),
                tr.ToTensor(),
                tr.Normalize((0.5,) * channels, (0.5,) * channels),
                lambda x: x + noise * torch.randn_like(x),
            ]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.pixels[i]), int(self.labels[i])


def plain_statistics(features: Any) -> tuple[Any, Any]:
    """Return the mean and the covariance of features (N, D), as FID codes compute them."""
    return np.mean(features, axis=0), np.cov(features, rowvar=False)
