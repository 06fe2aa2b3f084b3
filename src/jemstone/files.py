"""Files that are whole or absent: JSON and tensors, written beside and renamed when complete."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake

__all__ = [
    "check_new",
    "finite",
    "read_json",
    "read_tensors",
    "sync",
    "write_json",
    "write_tensors",
    "write_whole",
]


def check_new(path: Path) -> None:
    """Refuse a path that is taken, or cannot be made, before any work is done for it.

    Raises:
        Mistake: where something is there, or a file stands where a folder would have to.
    """
    if path.exists():
        raise Mistake(f"{path} exists: choose another --out")
    above = next(folder for folder in path.resolve().parents if folder.exists())
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


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        Mistake: where the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Mistake(f"{path} is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Mistake(f"{path} is not readable as JSON: {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, each in plain row-major order."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Copies: safetensors refuses names that share memory, as tied weights do.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }

    def save(beside: Path) -> None:
        try:
            save_file(plain, beside)
        except SafetensorError as error:  # what a full disk is called here
            raise OSError(f"{path} could not be written: {error}") from error

    write_whole(path, save)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        Mistake: where the file is missing, truncated or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise Mistake(f"{path} is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise Mistake(f"{path} is not a complete safetensors file: {error}") from error
