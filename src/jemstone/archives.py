"""Arrays from ``.npz`` files that may come from anybody: whole numbers, never a pickle."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jemstone.errors import Mistake, brief
from jemstone.files import is_file
from jemstone.memory import refuse_beyond_memory

__all__ = ["read_arrays"]


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Read arrays of whole numbers from a ``.npz`` file, nothing else in it.

    Args:
        path: of the file.
        names: of the arrays.

    Raises:
        Mistake: where the file is missing, broken, lacks an array, holds one of another type, or
            claims more than it holds or than the machine has.
    """
    if not is_file(path):
        raise Mistake(f"{path} is not there: name an existing .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise Mistake(f"{path} lacks {', '.join(missing)}")
            members = {name: archive.getinfo(f"{name}.npy") for name in names}
            refuse_beyond_memory(sum(m.file_size for m in members.values()), str(path))
            with warnings.catch_warnings():  # of numpy, about headers that are odd
                warnings.simplefilter("ignore")
                return {name: _array(archive, member, path) for name, member in members.items()}
    except Mistake:
        raise
    except Exception as error:  # zip, numpy and zlib each have their own
        raise Mistake(f"{path} is not a readable .npz file: {brief(error)}") from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray[Any, Any]:
    """Read one array, after its header has been held to the member's size."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Mistake(f"{path}: {member.filename} is compressed in a way that numpy does not write")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise Mistake(f"{path}: {member.filename} is of a version for other arrays")
        shape, _, kind = readers[version](file)
        if kind.hasobject:
            raise Mistake(f"{path} is not a readable .npz file: it holds a pickle")
        if math.prod(shape) * kind.itemsize != member.file_size - file.tell():
            raise Mistake(f"{path}: {member.filename} claims another size than it has")
    with archive.open(member) as file:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array
