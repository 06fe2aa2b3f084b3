"""Labelled images: bytes at rest, in memory or on the disk; float32 in [0, 1] when handed out.

Points of the plane are the exception: of two numbers a byte each leaves a lattice that a density
would learn, so images may rest as float32 in [0, 1] too. Whoever takes them sees no difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.box import check_box
from jemstone.types import Labelled

__all__ = ["DataSet", "Images", "UnknownSet", "fingerprint", "firsts", "to_bytes"]

_CHUNK = 2**23  # bytes of images handled at a time, where all of them are passed through
_DIGITS = 12


def to_bytes(x: Tensor) -> Tensor:
    """Round images in [0, 1] to uint8, as a PNG would."""
    return (x.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def firsts(labels: Tensor, classes: int, each: int) -> list[Tensor]:
    """Return the places of the first images of each class, to be shown.

    >>> firsts(torch.tensor([1, 0, 1, 1]), classes=3, each=2)
    [tensor([1]), tensor([0, 2]), tensor([], dtype=torch.int64)]

    Args:
        labels: int64 (N,).
        classes: K.
        each: images of a class, at most.
    """
    return [(labels == k).nonzero()[:each, 0] for k in range(classes)]


def _to_floats(pixels: Tensor) -> Tensor:
    """Read bytes as floats in [0, 1], in plain row-major order whatever the order of the bytes."""
    if pixels.is_floating_point():
        return pixels
    return pixels.to(torch.float32, memory_format=torch.contiguous_format) / 255.0


@dataclass(frozen=True)
class Images:
    """Images and their labels.

    Args:
        pixels: uint8 (N, C, H, W), or float32 in [0, 1]; never written to, as they may be mapped
            from a file.
        labels: int64 (N,).
        mapped: whether the pixels are mapped from a file, and so take no memory.

    Raises:
        Mistake: where lengths, shapes or types do not fit, or pixels lie outside [0, 1].
    """

    pixels: Tensor
    labels: Tensor
    mapped: bool = False

    def __post_init__(self) -> None:
        if self.pixels.dtype not in (torch.uint8, torch.float32) or self.pixels.dim() != 4:
            raise Mistake(
                "images are uint8 or float32 (N, C, H, W) here, "
                f"not {self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            )
        if self.pixels.is_floating_point():
            check_box(self.pixels)
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
        """All images, float32 in [0, 1], (N, C, H, W): four times the memory of their bytes."""
        return _to_floats(self.pixels)

    @property
    def bytes(self) -> Tensor:
        """All images as a PNG would hold them, uint8 (N, C, H, W)."""
        return to_bytes(self.pixels) if self.pixels.is_floating_point() else self.pixels

    @property
    def y(self) -> Tensor:
        """All labels, int64 (N,)."""
        return self.labels

    @property
    def resident(self) -> int:
        """Bytes of memory that the pixels take."""
        return 0 if self.mapped else self.pixels.nbytes

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that tell these images and labels from any others."""
        return _digits(self)

    def take(self, places: Tensor) -> Labelled:
        """Return the images at ``places`` (B,) as floats in [0, 1], with their labels."""
        return Labelled(_to_floats(self.pixels[places]), self.labels[places])

    def batches(self, size: int) -> Iterator[Labelled]:
        """Yield all images in order, ``size`` at a time, the last batch maybe smaller."""
        for pixels, labels in zip(self.pixels.split(size), self.labels.split(size), strict=True):
            if len(pixels):
                yield Labelled(_to_floats(pixels), labels)

    def chunks(self) -> Iterator[Tensor]:
        """Yield the bytes of all images in order, uint8 (n, C, H, W) of a few MiB at a time."""
        for pixels in self.pixels.split(max(1, _CHUNK // max(1, self.pixels[:1].numel()))):
            yield pixels.contiguous()

    def first(self, count: int | None) -> Images:
        """Return the first ``count`` images, or all."""
        if count is None:
            return self
        return Images(self.pixels[:count], self.labels[:count], self.mapped)


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

    @property
    def resident(self) -> int:
        """Bytes of memory that the pixels of both splits take."""
        return self.train.resident + self.test.resident

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that tell this data from any other."""
        return _digits(self.train, self.test)


@dataclass(frozen=True)
class UnknownSet:
    """Images of what a model has not learnt: by them its sense of the unknown is judged.

    Args:
        name: as figures call it.
        images: labelled by classes of their own, or by -1 where nobody said which.

    Raises:
        Mistake: where there are no images.
    """

    name: str
    images: Images

    def __post_init__(self) -> None:
        if not len(self.images):
            raise Mistake(f"{self.name} has no images")

    @property
    def labels(self) -> Tensor | None:
        """The images' own classes, int64 (N,); None where nobody said which."""
        return None if bool((self.images.labels < 0).any()) else self.images.labels


def fingerprint(data: DataSet) -> str:
    """Return 12 hexadecimal digits that tell this data from any other; read once, then kept."""
    return data.fingerprint


def _digits(*parts: Images) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(tuple(part.pixels.shape)).encode())
        for chunk in part.chunks():
            digest.update(chunk.flatten().numpy().data)
        digest.update(part.labels.contiguous().numpy().data)
    return digest.hexdigest()[:_DIGITS]
