"""Augmentation of whole batches: reflect-pad crop, mirror."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from jemstone.types import Generator

__all__ = ["Augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """Move images a little, each by its own draw.

    Args:
        padding: pixels of reflected border, out of which the image is cropped again; a single
            pixel is its own reflection, and stays.
        flip: mirror half of the images.
    """

    padding: int = 0
    flip: bool = False

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Return the moved images.

        Args:
            x: images (B, C, H, W).
            generator: the randomness.
        """
        if self.padding and x.shape[-2:] != (1, 1):
            x = self._crop(x, generator.fold("crop"))
        if self.flip:
            draws = generator.fold("flip").uniform((len(x), 1, 1, 1), device=x.device)
            x = torch.where(draws < 0.5, x.flip(-1), x)
        return x

    def _crop(self, x: Tensor, generator: Generator) -> Tensor:
        batch, _, height, width = x.shape
        padded = F.pad(x, (self.padding,) * 4, mode="reflect")
        offsets = [
            generator.fold(axis).integers(batch, 2 * self.padding + 1, x.device)[:, None]
            for axis in ("rows", "columns")
        ]
        rows = offsets[0] + torch.arange(height, device=x.device)
        columns = offsets[1] + torch.arange(width, device=x.device)
        image = torch.arange(batch, device=x.device)[:, None, None]
        # An index among slices comes first in the answer: (B, H, W, C).
        return padded[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
