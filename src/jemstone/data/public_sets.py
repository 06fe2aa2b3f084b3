"""The public data sets that torchvision knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jemstone.data.image_set import DataSet
from jemstone.data.npz import images_of
from jemstone.errors import Mistake, brief

__all__ = ["PUBLIC", "Public", "load_torchvision"]

_DIGITS = tuple("0123456789")


class Public(NamedTuple):
    """What differs between the sets.

    ``kind`` is torchvision's name; ``flip`` tells whether a mirrored image is still an image of
    its class; ``files`` lie in the root where torchvision reads them.
    """

    kind: str
    flip: bool
    files: str


_IDX = "{train,t10k}-{images-idx3,labels-idx1}-ubyte"

PUBLIC = {
    "mnist": Public("MNIST", False, f"MNIST/raw/{_IDX}"),
    "fashion-mnist": Public("FashionMNIST", False, f"FashionMNIST/raw/{_IDX}"),
    "cifar10": Public("CIFAR10", True, "cifar-10-batches-py/"),
    "cifar100": Public("CIFAR100", True, "cifar-100-python/"),
    "svhn": Public("SVHN", False, "train_32x32.mat and test_32x32.mat"),
}
"""The sets by the names that the command line knows them by."""


def load_torchvision(name: str, root: Path, *, download: bool) -> DataSet:
    """Load a public set by torchvision, into memory.

    Args:
        name: one of :data:`PUBLIC`.
        root: the folder in which torchvision looks.
        download: whether torchvision fetches what is not there.

    Raises:
        Mistake: where files are missing, broken, unreachable or pickles.
    """
    from torchvision import datasets

    public = PUBLIC[name]
    kind = getattr(datasets, public.kind)
    by_split = name == "svhn"
    pickled = root / public.kind / "processed"
    if pickled.is_dir():  # torchvision would prefer these to the plain files beside them
        raise Mistake(f"{pickled} holds pickles of an old torchvision: move it away")

    def split(train: bool) -> Any:
        choice = {"split": "train" if train else "test"} if by_split else {"train": train}
        return kind(root=str(root), download=download, **choice)

    try:
        train, test = split(True), split(False)
    except MemoryError:
        raise
    except Exception as error:  # missing, broken and unreachable files raise what they will
        if download:
            raise Mistake(
                f"{name} could not be downloaded ({brief(error)}): name a folder that has it "
                "with --data-root"
            ) from error
        raise Mistake(
            f"{root} does not hold a readable {name}: put {name}.npz there, or torchvision's "
            f"{public.files}"
        ) from error
    labels = "labels" if by_split else "targets"
    classes = tuple(getattr(train, "classes", _DIGITS))
    parts = [
        images_of(
            np.moveaxis(part.data, 1, 3) if by_split else part.data, getattr(part, labels), name
        )
        for part in (train, test)
    ]
    return DataSet(name, parts[0], parts[1], classes, public.flip)
