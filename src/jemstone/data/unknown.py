"""Images that a model has never seen: made from held-out ones, or another data set's.

References:
    Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263 (interpolations)
    Hendrycks & Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in
    neural networks", 2017, https://arxiv.org/abs/1610.02136 (noise, blurred images)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from jemstone.data.image_set import Images, to_bytes
from jemstone.data.load import NAMES, data_root, find, load_unknown
from jemstone.errors import unknown
from jemstone.random import Generator

__all__ = ["UNKNOWN", "unknown_like"]

_BLUR = 0.1  # standard deviation, as a share of an image's longer side
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def uniform_noise(known: Images, generator: Generator) -> Tensor:
    """Draw every pixel from U[0, 1]."""
    return generator.uniform((len(known), *known.shape))


def constant(known: Images, generator: Generator) -> Tensor:
    """Draw one colour for each image, uniform in the cube of colours."""
    colours = generator.uniform((len(known), known.shape[0]))
    return colours[:, :, None, None].expand(-1, *known.shape)


def interpolation(known: Images, generator: Generator) -> Tensor:
    """Average each image with one of another class, as far as no class holds half of all."""
    order = generator.permutation(len(known))
    order = order[known.labels[order].argsort(stable=True)]
    # Sorted by class, whoever stands as far off as the largest class is long is of another one.
    partners = order.roll(-int(known.labels.bincount().max()))
    mixed = torch.empty_like(known.x)
    mixed[order] = (known.x[order] + known.x[partners]) / 2
    return mixed


def blurred(known: Images, generator: Generator) -> Tensor:
    """Convolve with a Gaussian whose standard deviation is a tenth of the longer side."""
    sigma = _BLUR * max(known.shape[1:])
    reach = math.ceil(3 * sigma)
    bell = torch.exp(-(torch.arange(-reach, reach + 1) / sigma).square() / 2)
    bell = (bell / bell.sum()).expand(known.shape[0], 1, 1, -1)
    x = known.x
    for kernel, sides in ((bell, (reach, reach, 0, 0)), (bell.mT, (0, 0, reach, reach))):
        x = F.conv2d(F.pad(x, sides, mode="replicate"), kernel, groups=known.shape[0])
    return x


UNKNOWN: dict[str, Callable[[Images, Generator], Tensor]] = {
    "uniform-noise": uniform_noise,
    "constant": constant,
    "interpolation": interpolation,
    "blurred": blurred,
}
"""What is made from as many held-out images, (N, C, H, W) in [0, 1]."""


def unknown_like(
    name: str,
    known: Images,
    generator: Generator,
    *,
    root: str | Path | None = None,
    count: int | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Images:
    """Make or load a set of unknown images, of the known ones' shape.

    Images of another shape are resized with antialiasing, grey repeated over the channels, colours
    read as luma. Resizing leaves traces that may be what tells such a set from the known images.

    Args:
        name: one of :data:`UNKNOWN`, or as :func:`load_unknown` takes it.
        known: held-out images.
        generator: the randomness of what is made.
        root: the folder that holds data sets.
        count: the most images; all by default.
        told: hears that images are resized.

    Raises:
        Mistake: for an unknown name, or where files are missing or broken.
    """
    if name in UNKNOWN:
        pixels = to_bytes(UNKNOWN[name](known, generator))
        return Images(pixels, torch.zeros(len(pixels), dtype=torch.int64)).first(count)
    is_path = name.endswith(".npz") or os.sep in name
    if not (name in NAMES or is_path or find(name, data_root(root))):
        sources = [*UNKNOWN, *NAMES, "FILE.npz", "FOLDER"]
        raise unknown("set of unknown images", name, sources)
    # A folder's pictures may be of many sizes, so they are fitted as they are read.
    is_folder, (_, height, width) = name not in NAMES and not name.endswith(".npz"), known.shape
    size = height if is_folder and height == width else None
    found = load_unknown(name, root, resize=size).images.first(count)
    if size is not None or found.shape != known.shape:
        sizes = f"images of {_size(found.shape)}" if size is None else "pictures of other sizes"
        told(f"unknown inputs {name}: {sizes} are fitted to {_size(known.shape)}")
    return Images(_fitted(found, known.shape), torch.zeros_like(found.labels))


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _fitted(images: Images, shape: tuple[int, int, int]) -> Tensor:
    """Return the pixels in another shape, uint8 (N, C, H, W)."""
    if images.shape == shape:
        return images.bytes
    x = images.x
    if shape[0] != x.shape[1]:
        x = x[:, :3]
        if x.shape[1] == 3:
            x = torch.einsum("nchw,c->nhw", x, torch.tensor(_LUMA))[:, None]
        x = x[:, :1].expand(-1, shape[0], -1, -1)
    if x.shape[2:] != shape[1:]:
        x = F.interpolate(x, shape[1:], mode="bilinear", antialias=True)
    return to_bytes(x)
