"""Labelled images in memory: bytes at rest, float32 in [0, 1] when handed out.

Points of the plane are the exception: of two numbers a byte each leaves a lattice that a density
would learn, so images may rest as float32 in [0, 1] too. Whoever takes them sees no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.types import Batch

__all__ = ["DataSet", "Images", "to_bytes"]


def to_bytes(x: Tensor) -> Tensor:
    """Round images in [0, 1] to uint8, as a PNG would."""
    return (x.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def _to_floats(pixels: Tensor) -> Tensor:
    return pixels if pixels.is_floating_point() else pixels.float() / 255.0


@dataclass(frozen=True)
class Images:
    """Images and their labels.

    Args:
        pixels: uint8 (N, C, H, W), or float32 in [0, 1].
        labels: int64 (N,).

    Raises:
        Mistake: where lengths, shapes or types do not fit, or pixels lie outside [0, 1].
    """

    pixels: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.pixels.dtype not in (torch.uint8, torch.float32) or self.pixels.dim() != 4:
            raise Mistake(
                "images are uint8 or float32 (N, C, H, W) here, "
                f"not {self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            )
        # A NaN compares false with everything, so it is refused too.
        if self.pixels.is_floating_point() and not ((self.pixels >= 0) & (self.pixels <= 1)).all():
            raise Mistake("pixels lie outside [0, 1]: rescale the images")
        if self.labels.shape != self.pixels.shape[:1]:
            raise Mistake(
                f"{len(self.pixels)} images have {tuple(self.labels.shape)} labels: "
                "give one label for each image"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    @property
    def x(self) -> Tensor:
        """All images, float32 in [0, 1], (N, C, H, W)."""
        return _to_floats(self.pixels)

    @property
    def bytes(self) -> Tensor:
        """All images as a PNG would hold them, uint8 (N, C, H, W)."""
        return to_bytes(self.pixels) if self.pixels.is_floating_point() else self.pixels

    @property
    def y(self) -> Tensor:
        """All labels, int64 (N,)."""
        return self.labels

    def take(self, places: Tensor) -> Batch:
        """Return the images at ``places`` (B,) as floats in [0, 1], with their labels."""
        return Batch(_to_floats(self.pixels[places]), self.labels[places])

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all images in order, ``size`` at a time, the last batch maybe smaller."""
        for places in torch.arange(len(self)).split(size):
            yield self.take(places)

    def first(self, count: int | None) -> Images:
        """Return the first ``count`` images, or all."""
        return self if count is None else Images(self.pixels[:count], self.labels[:count])


@dataclass(frozen=True)
class DataSet:
    """A named set, split into training and held-out images.

    Args:
        name: as the command line knows it.
        train: what models learn from.
        test: what judges them; never trained on.
        classes: the K names of the classes.
        flip: whether a mirrored image is still an image of its class.

    Raises:
        Mistake: where a label is outside the classes, or the two splits differ in shape.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    flip: bool

    def __post_init__(self) -> None:
        if self.train.shape != self.test.shape:
            raise Mistake(
                f"{self.name}: training images are {self.train.shape}, test images "
                f"{self.test.shape}: both need the same (C, H, W)"
            )
        for split in (self.train, self.test):
            if not len(split):
                raise Mistake(f"{self.name}: a split has no images")
            if not 0 <= int(split.labels.min()) <= int(split.labels.max()) < len(self.classes):
                raise Mistake(
                    f"{self.name}: labels go from {int(split.labels.min())} to "
                    f"{int(split.labels.max())}, outside 0..{len(self.classes) - 1}"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.train.shape
