"""Picture files, read as bytes: 8-bit grey or RGB, as a viewer would show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jemstone.errors import Mistake, brief

__all__ = ["ENDINGS", "Look", "look", "read", "square"]

ENDINGS = (*(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"),)
"""Of the names of picture files, in any case."""

_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_MOST_PIXELS = 2**26
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # EXIF: height and width change places


class Look(NamedTuple):
    """What a picture's head says: whether it is stored as grey, and its (height, width)."""

    grey: bool
    size: tuple[int, int]


def look(path: str) -> Look:
    """Read the head of a picture file.

    Args:
        path: of the file.

    Raises:
        Mistake: where it is not a picture, or one of other than 8-bit grey or colour.
    """
    with _opened(path) as picture:
        width, height = picture.size
        lying = _may_lie(picture) and picture.getexif().get(_ORIENTATION) in _LYING
        return Look(picture.mode in _GREY, (width, height) if lying else (height, width))


def read(path: str, grey: bool, size: int | None) -> np.ndarray[Any, Any]:
    """Read a picture: upright, in grey or RGB, and fitted into a square where that is asked for.

    Args:
        path: of the file.
        grey: one channel or three.
        size: height and width in pixels, see :func:`square`; None leaves the picture's own.

    Returns:
        uint8 (C, H, W).

    Raises:
        Mistake: where the file is broken, or shows through anywhere.
    """
    with _opened(path) as picture:
        upright = ImageOps.exif_transpose(picture) if _may_lie(picture) else picture
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            if np.asarray(upright.getchannel("A")).min() < 255:
                raise Mistake(f"{brief(path)} is transparent in places: lay it on a ground first")
        plain = upright.convert("L" if grey else "RGB")
        pixels = np.asarray(plain if size is None else square(plain, size))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def square(picture: Image.Image, size: int) -> Image.Image:
    """Cut the largest square out of the middle, and resample it with antialiasing.

    Pillow's bicubic filter, whose support grows with the factor by which a picture shrinks.

    References:
        Parmar et al., "On aliased resizing and surprising subtleties in GAN evaluation", 2022,
        https://arxiv.org/abs/2104.11222

    Args:
        picture: grey or RGB.
        size: height and width of the answer, in pixels.
    """
    if picture.size == (size, size):
        return picture
    return ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)


def _may_lie(picture: Image.Image) -> bool:
    """Tell whether a camera may have noted there how it was held."""
    return picture.format in ("JPEG", "MPO", "WEBP")  # TIFF is turned by Pillow


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise Mistake(f"{brief(path)} claims {picture.width} x {picture.height} pixels")
            if picture.mode not in (*_GREY, *_COLOUR):
                raise Mistake(
                    f"{brief(path)} has pixels of the mode {picture.mode}: "
                    "store it as 8-bit grey or RGB"
                )
            yield picture
    except (Mistake, MemoryError):
        raise
    except Exception as error:  # each format has its own
        raise Mistake(f"{brief(path)} is not a readable image: {brief(error)}") from error
