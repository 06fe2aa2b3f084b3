"""Files that are whole or absent: JSON and tensors, written beside and renamed when complete.

What is read may come from anybody. A file says how large it is before it is read, and one that
claims more than it holds, or more than the machine has, is refused before memory is asked for.
Tensors carry their digest, so that a flipped bit is told and not trained on.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from jemstone.errors import Mistake, brief
from jemstone.memory import refuse_beyond_memory

__all__ = [
    "check_name",
    "check_new",
    "digest_of",
    "finite",
    "is_file",
    "parse_json",
    "read_json",
    "read_lines",
    "read_tensors",
    "read_text",
    "sha256_of",
    "sync",
    "write_json",
    "write_tensors",
    "write_whole",
]

_LARGEST_TEXT = 2**24  # bytes; ours have thousands
_LARGEST_NAME = 200  # of the 255 bytes that file systems have, for the name beside
_DIGEST = "sha256"


def is_file(path: Path) -> bool:
    """Tell whether a file is there; a name that no file can have names none."""
    try:
        return path.is_file()
    except OSError:  # longer than a name may be, or in a folder that is closed to us
        return False


def check_name(path: Path) -> None:
    """Refuse a path that no new file can have.

    Raises:
        Mistake: where it names none, or is longer than a name may be.
    """
    try:
        str(path).encode()
        unspeakable = "\0" in str(path)
    except UnicodeEncodeError:
        unspeakable = True
    if unspeakable or not path.name or path.name == "..":
        raise Mistake(f"{str(path)!r} is no name for a file: choose another --out")
    if max(len(part.encode()) for part in path.parts) > _LARGEST_NAME:
        raise Mistake(f"a name is at most {_LARGEST_NAME} bytes long: choose another --out")


def check_new(path: Path) -> None:
    """Refuse a path that is taken, or cannot be made, before any work is done for it.

    Raises:
        Mistake: where something is there, a file stands where a folder would have to, or the
            name is none.
    """
    check_name(path)
    try:
        if path.exists() or path.is_symlink():
            raise Mistake(f"{path} exists: choose another --out")
        above = next(folder for folder in path.resolve().parents if folder.exists())
    except (OSError, RuntimeError) as error:  # a loop of links, a path too long or forbidden
        raise Mistake(f"{path} cannot be made ({error}): choose another --out") from error
    if not above.is_dir():
        raise Mistake(f"{path} cannot be made, since {above} is a file: choose another --out")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is complete or not there: ``write`` gets a name beside ``path``.

    Args:
        path: where the file shall be; its folder is made.
        write: writes the file it is given, whose name ends as ``path`` does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(beside)
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say so."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def finite(value: Any) -> Any:
    """Replace what JSON cannot say (NaN, infinities) by None, all the way down.

    >>> finite({"fid": float("nan"), "n": 3})
    {'fid': None, 'n': 3}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as valid JSON, null for what is not finite."""
    text = json.dumps(finite(value), indent=2, allow_nan=False) + "\n"
    write_whole(path, lambda beside: beside.write_text(text))


def read_text(path: Path) -> str:
    """Read a text file of ours.

    Raises:
        Mistake: where the file is missing, is no text, or is far larger than ours are.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_TEXT + 1)
        if len(content) > _LARGEST_TEXT:
            raise Mistake(f"{path} is too large to be one of ours")
        return content.decode()
    except FileNotFoundError as error:
        raise Mistake(f"{path} is missing") from error
    except UnicodeDecodeError as error:
        raise Mistake(f"{path} is not readable as text: {error.reason}") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise Mistake(f"{path} is not readable: {error}") from error


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that grows as a run goes on, however long it is.

    Raises:
        Mistake: where the file is not readable, or is no text.
    """
    try:
        refuse_beyond_memory(path.stat().st_size, str(path))
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Mistake(f"{path} is not readable as text: {error.reason}") from error
    except OSError as error:
        raise Mistake(f"{path} is not readable: {error}") from error


def parse_json(text: str, where: object) -> Any:
    """Read a JSON text: valid JSON, so no NaN, and no number beyond a float's.

    Args:
        text: to read.
        where: it stands.

    Raises:
        Mistake: where it is not JSON.
    """

    def refused(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    def number(digits: str) -> float:
        if not math.isfinite(float(digits)):
            raise ValueError(f"{digits[:20]} is no finite number")
        return float(digits)

    try:
        return json.loads(text, parse_constant=refused, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"{where} is not readable as JSON: {brief(error)}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        Mistake: where the file is missing or is not JSON.
    """
    return parse_json(read_text(path), path)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of names, types, shapes and contents, 64 hexadecimal digits.

    Args:
        tensors: by name, on the CPU, in row-major order.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as `sha256sum` prints it.

    Raises:
        Mistake: where it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {brief(error)}") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, each in plain row-major order, with a digest of them all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Copies: safetensors refuses names that share memory, as tied weights do.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    about = {_DIGEST: digest_of(plain)}  # one entry: of several, the library shuffles the order

    def save(beside: Path) -> None:
        try:
            save_file(plain, beside, about)
        except SafetensorError as error:  # what a full disk is called here
            raise OSError(f"{path} could not be written: {error}") from error

    write_whole(path, save)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file, and hold it to its digest if it has one.

    The library checks that what a header claims is what the file holds before it asks for memory.

    Raises:
        Mistake: where the file is missing, truncated, damaged or of another format.
    """
    from safetensors import SafetensorError, safe_open

    if not is_file(path):
        raise Mistake(f"{path} is missing")
    try:
        refuse_beyond_memory(path.stat().st_size, str(path))
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        intact = _DIGEST not in about or about[_DIGEST] == digest_of(tensors)
    except Mistake:
        raise
    # RuntimeError: a shape whose strides torch cannot count.
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise Mistake(f"{path} is not a complete safetensors file: {brief(error)}") from error
    if not intact:
        raise Mistake(f"{path} is damaged: its tensors are not those that were written")
    return tensors
