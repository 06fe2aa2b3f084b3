"""Arrays from ``.npz`` files that may come from anybody: whole numbers, never a pickle.

A large array that is stored uncompressed, as :func:`numpy.savez` does, need not be read: it is a
run of bytes in the file, and can be mapped from where it lies. A small one is read all the same,
since a file that is written over would pull the ground from under a map.
"""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jemstone.errors import Mistake, brief
from jemstone.files import is_file
from jemstone.memory import refuse_beyond_memory

__all__ = ["array_names", "read_arrays"]

_Array = np.ndarray[Any, Any]
_LEAST_MAPPED = 2**30  # bytes
_CHUNK = 2**20  # bytes read at a time, where a member is only checked
_UNCOMPRESSED = "store it uncompressed, by numpy.savez, and its images stay on the disk"


class _Header(NamedTuple):
    """What a member says of its array, and where in it the numbers begin."""

    shape: tuple[int, ...]
    fortran: bool
    kind: np.dtype[Any]
    start: int


def array_names(path: Path) -> frozenset[str]:
    """Return the names of the arrays in a ``.npz`` file.

    Raises:
        Mistake: where the file is missing or broken.
    """
    with _opened(path) as archive:
        names = archive.namelist()
    return frozenset(name.removesuffix(".npy") for name in names if name.endswith(".npy"))


def read_arrays(
    path: Path, names: Sequence[str], mapped: Collection[str] = ()
) -> dict[str, _Array]:
    """Read arrays from a ``.npz`` file, nothing else in it; objects are refused, as pickles are.

    Args:
        path: of the file.
        names: of the arrays.
        mapped: those of them that are mapped, read-only, where they have a GiB or more and are
            stored uncompressed. They are read through once, to hold them to their sum, but not
            kept in memory.

    Raises:
        Mistake: where the file is missing, broken, lacks an array, holds one of objects, or claims
            more than it holds or than the machine has.
    """
    with _opened(path) as archive:
        missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
        if missing:
            raise Mistake(f"{path} lacks {', '.join(missing)}")
        members = {name: archive.getinfo(f"{name}.npy") for name in names}
        headers = {name: _header(archive, member, path) for name, member in members.items()}
        on_disk = {
            name
            for name in mapped
            if name in members and _is_mappable(members[name], headers[name])
        }
        size = sum(m.file_size for name, m in members.items() if name not in on_disk)
        refuse_beyond_memory(size, str(path), _UNCOMPRESSED if mapped else "")
        return {
            name: _map(archive, member, path, headers[name])
            if name in on_disk
            else _read(archive, member)
            for name, member in members.items()
        }


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive, and turn all that can go wrong in it into a :class:`Mistake`."""
    if not is_file(path):
        raise Mistake(f"{path} is not there: name an existing .npz file")
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, about headers that are odd
            yield archive
    except (Mistake, MemoryError):
        raise
    except Exception as error:  # zip, numpy and zlib each have their own
        raise Mistake(f"{path} is not a readable .npz file: {brief(error)}") from error


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> _Header:
    """Read what a member says of its array, and hold it to the member's size."""
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
        shape, fortran, kind = readers[version](file)
        if kind.hasobject:
            raise Mistake(f"{path} is not a readable .npz file: it holds a pickle")
        if math.prod(shape) * kind.itemsize != member.file_size - file.tell():
            raise Mistake(f"{path}: {member.filename} claims another size than it has")
        return _Header(shape, fortran, kind, file.tell())


def _is_mappable(member: zipfile.ZipInfo, header: _Header) -> bool:
    """Tell whether an array is large, and lies in the file as it would in memory."""
    if member.file_size < _LEAST_MAPPED:
        return False
    stored = member.compress_type == zipfile.ZIP_STORED
    whole = member.compress_size == member.file_size
    return stored and whole and not header.fortran and math.prod(header.shape) > 0


def _map(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, header: _Header) -> _Array:
    with archive.open(member) as file:  # which compares its sum at the end
        while file.read(_CHUNK):
            pass
    with open(path, "rb") as local:  # the name and the extra field before the member's bytes
        local.seek(member.header_offset + 26)
        before = 30 + sum(struct.unpack("<HH", local.read(4)))
    offset = member.header_offset + before + header.start
    return np.memmap(path, header.kind, "r", offset, header.shape)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Array:
    with archive.open(member) as file:
        array: _Array = np.lib.format.read_array(file, allow_pickle=False)
    return array
