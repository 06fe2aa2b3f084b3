"""Data sets in ``.npz`` files: images as uint8 (N, H, W) or (N, H, W, C), labels as integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from jemstone.archives import array_names, read_arrays
from jemstone.data.cache import as_tensor
from jemstone.data.image_set import DataSet, Images, UnknownSet
from jemstone.errors import Mistake
from jemstone.memory import refuse_beyond_memory
from jemstone.random import Generator

__all__ = ["images_of", "load_npz", "load_unknown_npz"]

_IMAGES = ("train_images", "test_images")
_ALL = ("train_images", "train_labels", "test_images", "test_labels")
_MOST_CLASSES = 100_000


def images_of(pixels: Any, labels: Any, where: str) -> Images:
    """Build images from arrays as data sets are given, without a copy of the pixels.

    Args:
        pixels: uint8 (N, H, W) or (N, H, W, C).
        labels: integers (N,).
        where: the arrays stand.

    Raises:
        Mistake: where they are not that.
    """
    mapped = isinstance(pixels, np.memmap)
    pixels, labels = np.asarray(pixels), np.asarray(labels)
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
        raise Mistake(
            f"{where}: images are uint8 (N, H, W) or (N, H, W, C), "
            f"not {pixels.dtype} of shape {pixels.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.shape != pixels.shape[:1]:
        raise Mistake(
            f"{where}: {len(pixels)} images need as many integer labels, "
            f"not {labels.dtype} of shape {labels.shape}"
        )
    if 0 in pixels.shape[1:]:
        raise Mistake(f"{where}: images of shape {pixels.shape[1:]} have no pixels")
    if not mapped:
        pixels = np.ascontiguousarray(pixels)
    pixels = pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, 3, 1)
    return Images(as_tensor(pixels), torch.from_numpy(labels.astype(np.int64)), mapped)


def load_npz(path: Path, name: str, flip: bool) -> DataSet:
    """Load a data set from a file; its images stay on the disk where they are uncompressed.

    Args:
        path: of the file, with ``train_images``, ``train_labels``, ``test_images``,
            ``test_labels``.
        name: of the data set.
        flip: whether a mirrored image is still an image of its class.

    Raises:
        Mistake: where the file is missing or broken, or lacks an array.
    """
    there = array_names(path)
    if "test_images" in there and not there & {"train_images", "train_labels"}:
        raise Mistake(
            f"{path} holds test images alone, which serve as an unknown-input set: "
            "training needs train_images and train_labels too"
        )
    arrays = read_arrays(path, _ALL, mapped=_IMAGES)
    train = images_of(arrays["train_images"], arrays["train_labels"], f"{path} (train)")
    test = images_of(arrays["test_images"], arrays["test_labels"], f"{path} (test)")
    test = _mixed(test, path)
    count = int(train.labels.max()) + 1 if len(train) else 0
    if count > _MOST_CLASSES:
        raise Mistake(f"{path}: a label is {count - 1}, classes go up to {_MOST_CLASSES - 1}")
    return DataSet(name, train, test, tuple(str(k) for k in range(count)), flip)


def _mixed(images: Images, path: Path) -> Images:
    """Return held-out images in another order where they come class by class.

    The first few stand for all in many a figure, so they must not be of one class.

    Raises:
        Mistake: where they are more than the memory holds, as those that lie on the disk may be.
    """
    y = images.labels
    runs, classes = len(y.unique_consecutive()), len(y.unique())
    if not 1 < classes == runs < len(y):
        return images
    what = f"{path}: putting its test images, which come class by class, into another order"
    refuse_beyond_memory(images.pixels.nbytes, what, "write them in a random one")
    order = Generator(0).fold("order").permutation(len(y))
    return Images(images.pixels[order], y[order])


def load_unknown_npz(path: Path, name: str) -> UnknownSet:
    """Load the test images of a file, whatever else it holds; mixed where they come by class.

    Args:
        path: of the file, with ``test_images`` and maybe ``test_labels``.
        name: of the set.

    Raises:
        Mistake: where the file is missing or broken, or has no test images.
    """
    labelled = "test_labels" in array_names(path)
    names = ("test_images", "test_labels") if labelled else ("test_images",)
    arrays = read_arrays(path, names, mapped=_IMAGES)
    pixels = arrays["test_images"]
    labels = arrays.get("test_labels", np.full(pixels.shape[:1], -1))
    return UnknownSet(name, _mixed(images_of(pixels, labels, str(path)), path))
