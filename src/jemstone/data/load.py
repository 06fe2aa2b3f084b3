"""Data sets by name, by file, by folder, or from torchvision's layout."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jemstone.data.cache import cache_folder
from jemstone.data.folder import load_folder
from jemstone.data.image_set import DataSet, Images, UnknownSet
from jemstone.data.npz import load_npz, load_unknown_npz
from jemstone.data.public_sets import PUBLIC, load_torchvision
from jemstone.data.resize import check_size, resized
from jemstone.data.toys import TOYS, load_toy
from jemstone.errors import Mistake, brief, unknown
from jemstone.files import is_file

__all__ = ["NAMES", "data_root", "find", "is_flippable", "load", "load_unknown", "set_name"]

NAMES = ("digits", *TOYS, *PUBLIC)
"""The data sets that have a name of their own."""


def _silent(line: str) -> None:
    """Say nothing."""


def is_flippable(name: str) -> bool:
    """Tell whether a mirrored image of that data set is still an image of its class."""
    return name in PUBLIC and PUBLIC[name].flip


def data_root(root: str | Path | None = None) -> Path | None:
    """Return the folder that holds data sets: ``root``, or the environment's ``JEMSTONE_DATA``."""
    named = root or os.environ.get("JEMSTONE_DATA")
    return Path(named) if named else None


def set_name(source: str) -> str:
    """Return what a data set is called: its name, or that of its file or folder.

    >>> set_name("cifar10"), set_name("sets/birds.npz")
    ('cifar10', 'birds')

    Args:
        source: as :func:`load` takes it; it need not be there.
    """
    if source in NAMES:
        return source
    path = Path(source) if source.endswith(".npz") else Path(os.path.abspath(source))
    return brief(path.stem if source.endswith(".npz") else path.name) or "images"


def load(
    name: str,
    root: str | Path | None = None,
    *,
    resize: int | None = None,
    told: Callable[[str], object] = _silent,
) -> DataSet:
    """Load a data set.

    Args:
        name: ``digits``, ``moons``, ``spirals``, ``mnist``, ``fashion-mnist``, ``cifar10``,
            ``cifar100``, ``svhn``; a ``.npz`` file with ``train_images`` uint8 (N, H, W[, C]),
            ``train_labels``, ``test_images`` and ``test_labels``; or a folder,
            ``FOLDER/CLASS/*.png`` or ``FOLDER/{train,test}/CLASS/*.png``.
        root: the folder with ``NAME.npz`` or torchvision's layout; by default the environment's
            ``JEMSTONE_DATA``. Where none is named, torchvision downloads. A file or folder that
            is not where its path says is looked for by its name in the root.
        resize: height and width in pixels to fit all images into; by default they are left.
        told: hears what is left out, and how far a long reading is.

    Raises:
        Mistake: for an unknown name, or where files are missing or broken.
    """
    if resize is not None:
        check_size(resize)
    folder = data_root(root)
    if name == "digits":
        data = _load_digits()
    elif name in TOYS:
        data = load_toy(name)
    elif name in PUBLIC:
        data = _load_public(name, folder)
    else:
        path, called = _found(name, folder), set_name(name)
        if name.endswith(".npz"):
            data = load_npz(path, called, is_flippable(called))
        else:
            data = load_folder(path, called, is_flippable(called), resize=resize, told=told)
    if resize is None or data.shape[1:] == (resize, resize):
        return data
    train, test = (resized(part, resize, data.name) for part in (data.train, data.test))
    return dataclasses.replace(data, train=train, test=test)


def load_unknown(
    name: str,
    root: str | Path | None = None,
    *,
    resize: int | None = None,
    told: Callable[[str], object] = _silent,
) -> UnknownSet:
    """Load images of what a model has not learnt: the test images of a data set.

    Args:
        name: as :func:`load` takes it; a ``.npz`` file may hold ``test_images`` alone.
        root: as :func:`load` takes it; for a name it may hold ``NAME_test.npz`` alone.
        resize: as :func:`load` takes it.
        told: as :func:`load` takes it.

    Raises:
        Mistake: for an unknown name, or where files are missing or broken.
    """
    if resize is not None:
        check_size(resize)
    folder = data_root(root)
    path: Path | None = None
    if name not in NAMES and name.endswith(".npz"):
        path = _found(name, folder)
    elif name in PUBLIC and folder is not None:
        archives = (folder / f"{name}.npz", folder / f"{name}_test.npz")
        path = next(filter(is_file, archives), None)
    if path is None:
        return UnknownSet(set_name(name), load(name, root, resize=resize, told=told).test)
    found = load_unknown_npz(path, set_name(name))
    if resize is None:
        return found
    return UnknownSet(found.name, resized(found.images, resize, found.name))


def find(source: str, root: Path | None) -> Path | None:
    """Return where a file or folder is: at its path, or by its name in the root; None: nowhere."""
    is_there = is_file if source.endswith(".npz") else os.path.isdir
    here = Path(source)
    if is_there(here):
        return here
    if root is not None and here.name and is_there(root / here.name):
        return root / here.name
    return None


def _found(source: str, root: Path | None) -> Path:
    """Return where a file or folder is, or say that it is not there."""
    path = find(source, root)
    if path is not None:
        return path
    if source.endswith(".npz") or os.sep not in source:
        if source.endswith(".npz"):
            raise Mistake(f"{brief(source)} is not there: name an existing .npz file")
        raise unknown("data set", source, [*NAMES, "FILE.npz", "FOLDER"])
    raise Mistake(f"{brief(source)} is not there: name a folder of class folders, or a .npz file")


def _load_public(name: str, root: Path | None) -> DataSet:
    if root is None:
        return load_torchvision(name, cache_folder() / "data", download=True)
    if not os.path.isdir(root):
        raise Mistake(f"the data root {root} is not a folder")
    archive = root / f"{name}.npz"
    if is_file(archive):
        return load_npz(archive, name, is_flippable(name))
    return load_torchvision(name, root, download=False)


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
        classes=tuple("0123456789"),
        flip=False,
    )
