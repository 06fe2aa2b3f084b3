"""Images on the disk: uint8 arrays that are written once and mapped ever after.

A map takes no memory of its own: the system reads what is asked for, and lets it go when memory is
needed for something else. So a data set may be far larger than the machine's memory.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.files import write_whole
from jemstone.memory import gibibytes

__all__ = ["as_tensor", "cache_folder", "keep", "kept"]

_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
_ANOTHER = "name another folder by JEMSTONE_CACHE"

_Array = np.ndarray[Any, Any]


def cache_folder() -> Path:
    """Return where what can be made again is kept: ``JEMSTONE_CACHE``, or ``~/.cache/jemstone``."""
    return Path(os.environ.get("JEMSTONE_CACHE") or Path.home() / ".cache" / "jemstone")


def as_tensor(pixels: _Array) -> Tensor:
    """Return a tensor of the same bytes, be they in memory or mapped; it is not to be written."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable")
        return torch.from_numpy(pixels)


def kept(path: Path, count: int) -> Tensor | None:
    """Map the images of a file that :func:`keep` wrote; None where it is absent or broken.

    Args:
        path: ``.npy`` file.
        count: N.

    Returns:
        uint8 (N, C, H, W), read-only.
    """
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != count:
        return None
    return as_tensor(pixels)


def keep(path: Path, shape: tuple[int, ...], parts: Iterable[_Array]) -> Tensor:
    """Write images into a file that is complete or not there, and map them.

    Args:
        path: ``.npy`` file.
        shape: (N, C, H, W) of all.
        parts: of the images in order, uint8 (n, C, H, W).

    Raises:
        Mistake: where the cache cannot be written, or its disk has too little room.
    """
    _refuse_beyond_disk(path, math.prod(shape))
    about = {"descr": "|u1", "fortran_order": False, "shape": shape}

    def write(beside: Path) -> None:
        with open(beside, "wb") as file:
            np.lib.format.write_array_header_1_0(file, about)
            for part in parts:
                file.write(np.ascontiguousarray(part).data)

    try:
        write_whole(path, write)
    except OSError as error:
        if error.errno not in _CLOSED:
            raise
        raise Mistake(f"{path.parent} cannot be written ({error.strerror}): {_ANOTHER}") from error
    pixels = kept(path, shape[0])
    if pixels is None:
        raise OSError(f"{path} could not be read back")
    return pixels


def _refuse_beyond_disk(path: Path, size: int) -> None:
    above = next((folder for folder in path.parents if folder.is_dir()), None)
    free = size if above is None else shutil.disk_usage(above).free
    if size > free:
        raise Mistake(
            f"the images take {gibibytes(size)} in {path.parent}, whose disk has "
            f"{gibibytes(free)} left: {_ANOTHER}"
        )
