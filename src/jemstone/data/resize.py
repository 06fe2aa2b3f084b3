"""Images at another size: asked for, never silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from jemstone.data.cache import as_tensor, cache_folder, keep, kept
from jemstone.data.image_set import Images
from jemstone.data.pictures import square
from jemstone.errors import Mistake

__all__ = ["check_size", "resized"]

_LARGEST = 4096  # pixels


def check_size(size: int) -> int:
    """Return the size, or refuse it.

    Raises:
        Mistake: where images cannot have it.
    """
    if not 1 <= size <= _LARGEST:
        raise Mistake(f"--resize is from 1 to {_LARGEST} pixels, not {size}")
    return size


def resized(images: Images, size: int, name: str) -> Images:
    """Fit images into squares, see :func:`jemstone.data.pictures.square`.

    Images in memory stay in memory; those that are mapped are kept in the cache, and mapped.

    Args:
        images: grey or RGB.
        size: height and width of the answer, in pixels.
        name: of the data set, for the cache.

    Raises:
        Mistake: for a size that is none, or images of other than one or three channels.
    """
    check_size(size)
    channels = images.shape[0]
    if images.shape[1:] == (size, size):
        return images
    if channels not in (1, 3):
        raise Mistake(f"{name}: images of {channels} channels cannot be resized: give 1 or 3")
    shape = (len(images), channels, size, size)
    if not images.mapped:
        parts = list(_squares(images, size))
        pixels = np.concatenate(parts) if parts else np.empty(shape, np.uint8)
        return Images(as_tensor(pixels), images.labels)
    path = cache_folder() / "images" / f"{name}-{images.fingerprint}-{size}.npy"
    found = kept(path, len(images))
    there = found if found is not None else keep(path, shape, _squares(images, size))
    return Images(there, images.labels, mapped=True)


def _squares(images: Images, size: int) -> Iterator[np.ndarray[Any, Any]]:
    for chunk in images.chunks():
        yield np.stack([_square(pixels, size) for pixels in chunk])


def _square(pixels: Tensor, size: int) -> np.ndarray[Any, Any]:
    plain = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    fitted = np.asarray(square(Image.fromarray(plain.contiguous().numpy()), size))
    return fitted[None] if len(pixels) == 1 else fitted.transpose(2, 0, 1)
