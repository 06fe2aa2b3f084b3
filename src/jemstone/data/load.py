"""Data sets by name, by file, or from torchvision's layout."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jemstone.archives import read_arrays
from jemstone.data.image_set import DataSet, Images
from jemstone.errors import Mistake, unknown
from jemstone.files import is_file

__all__ = ["NAMES", "data_root", "fingerprint", "is_flippable", "load"]

_DIGITS = tuple("0123456789")
_TORCHVISION = {
    "mnist": ("MNIST", False),
    "fashion-mnist": ("FashionMNIST", False),
    "cifar10": ("CIFAR10", True),
    "cifar100": ("CIFAR100", True),
    "svhn": ("SVHN", False),
}
_MOST_CLASSES = 100_000
NAMES = ("digits", *_TORCHVISION)


def is_flippable(name: str) -> bool:
    """Tell whether a mirrored image of that data set is still an image of its class."""
    return name in _TORCHVISION and _TORCHVISION[name][1]


def data_root(root: str | Path | None = None) -> Path | None:
    """Return the folder that holds data sets: ``root``, or the environment's ``JEMSTONE_DATA``."""
    named = root or os.environ.get("JEMSTONE_DATA")
    return Path(named) if named else None


def load(name: str, root: str | Path | None = None) -> DataSet:
    """Load a data set.

    Args:
        name: ``digits``, ``mnist``, ``fashion-mnist``, ``cifar10``, ``cifar100``, ``svhn``, or a
            ``.npz`` file with ``train_images`` uint8 (N, H, W[, C]), ``train_labels``,
            ``test_images`` and ``test_labels``.
        root: the folder with ``NAME.npz`` or torchvision's layout; by default the environment's
            ``JEMSTONE_DATA``. Where none is named, torchvision downloads.

    Raises:
        Mistake: for an unknown name, or where files are missing or broken.
    """
    if name == "digits":
        return _load_digits()
    if name.endswith(".npz"):
        return _load_npz(Path(name), name=Path(name).stem, flip=False)
    if name not in _TORCHVISION:
        raise unknown("data set", name, [*NAMES, "FILE.npz"])
    folder = data_root(root)
    if folder is None:
        return _load_torchvision(name, Path.home() / ".cache" / "jemstone" / "data", download=True)
    if not os.path.isdir(folder):
        raise Mistake(f"the data root {folder} is not a folder")
    archive = folder / f"{name}.npz"
    if is_file(archive):
        return _load_npz(archive, name=name, flip=is_flippable(name))
    return _load_torchvision(name, folder, download=False)


def _load_digits() -> DataSet:
    """Split scikit-learn's digits: 1,437 images to train on, 360 held out."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    parts = train_test_split(pixels, labels, test_size=360, stratify=labels, random_state=0)

    def images(pixels: Any, labels: Any) -> Images:
        as_bytes = np.rint(pixels * (255.0 / 16.0)).astype(np.uint8).reshape(-1, 1, 8, 8)
        return Images(torch.from_numpy(as_bytes), torch.from_numpy(labels).long())

    return DataSet(
        "digits",
        train=images(parts[0], parts[2]),
        test=images(parts[1], parts[3]),
        classes=_DIGITS,
        flip=False,
    )


def as_images(pixels: Any, labels: Any, where: str) -> Images:
    """Read arrays as images.

    Args:
        pixels: uint8 (N, H, W) or (N, H, W, C).
        labels: whole numbers (N,).
        where: they are from, for the message.

    Raises:
        Mistake: for other shapes or types.
    """
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
    pixels = pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, 3, 1)
    return Images(
        torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels.astype(np.int64))
    )


def _load_npz(path: Path, name: str, flip: bool) -> DataSet:
    arrays = read_arrays(path, ("train_images", "train_labels", "test_images", "test_labels"))
    train = as_images(arrays["train_images"], arrays["train_labels"], f"{path} (train)")
    test = as_images(arrays["test_images"], arrays["test_labels"], f"{path} (test)")
    count = int(train.labels.max()) + 1 if len(train) else 0
    if count > _MOST_CLASSES:
        raise Mistake(f"{path}: a label is {count - 1}, classes go up to {_MOST_CLASSES - 1}")
    return DataSet(name, train, test, tuple(str(k) for k in range(count)), flip)


def _load_torchvision(name: str, root: Path, *, download: bool) -> DataSet:
    from torchvision import datasets

    kind: Callable[..., Any] = getattr(datasets, _TORCHVISION[name][0])
    by_split = name == "svhn"
    pickled = root / _TORCHVISION[name][0] / "processed"
    if pickled.is_dir():  # torchvision would prefer these to the plain files beside them
        raise Mistake(f"{pickled} holds pickles of an old torchvision: move it away")

    def split(train: bool) -> Any:
        choice = {"split": "train" if train else "test"} if by_split else {"train": train}
        return kind(root=str(root), download=download, **choice)

    try:
        train, test = split(True), split(False)
    except Exception as error:  # missing, broken and unreachable files raise what they will
        if download:
            raise Mistake(
                f"{name} could not be downloaded ({error}): name a folder that has it "
                "with --data-root"
            ) from error
        raise Mistake(
            f"{root} does not hold a readable {name}: put {name}.npz or torchvision's files there"
        ) from error
    labels = "labels" if by_split else "targets"
    classes = tuple(getattr(train, "classes", _DIGITS))

    def images(part: Any) -> Images:
        pixels = np.moveaxis(part.data, 1, 3) if by_split else np.asarray(part.data)
        return as_images(pixels, np.asarray(getattr(part, labels)), name)

    return DataSet(name, images(train), images(test), classes, is_flippable(name))


def fingerprint(data: DataSet) -> str:
    """Return 12 hexadecimal digits that tell this data from any other."""
    digest = hashlib.sha256()
    for split in (data.train, data.test):
        digest.update(str(tuple(split.pixels.shape)).encode())
        digest.update(split.pixels.numpy().tobytes())
        digest.update(split.labels.numpy().tobytes())
    return digest.hexdigest()[:12]
