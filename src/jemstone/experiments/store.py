"""Parts of a judgement, kept as they are done, so that it goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jemstone.errors import Mistake
from jemstone.files import read_json, write_json

__all__ = ["Shelf", "Store", "refuse_strangers"]

_HALF_WRITTEN = re.compile(r"\.\d+\..+\.json")  # by a process that was killed


class Store:
    """Keep each part in a file of its own, whole or absent.

    Args:
        folder: made with the first part.
        key: of all that the parts depend on; those of another key are not this judgement's.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the parts that are there, by name; what is broken or another's is left out."""
        parts = {}
        for file in sorted(self.folder.glob("*.json")):
            try:
                kept = read_json(file)
            except Mistake:
                continue
            if isinstance(kept, dict) and kept.get("key") == self.key:
                part = kept.get("part")
                if isinstance(part, dict):
                    parts[file.stem] = part
        return parts

    def write(self, name: str, part: dict[str, Any]) -> None:
        """Keep a part."""
        write_json(self.folder / f"{name}.json", {"key": self.key, "part": part})

    def shelf(self, name: str) -> Shelf:
        """Return what a part that takes long may keep of itself."""
        return Shelf(self.folder / name, self.key)

    def remove(self) -> None:
        """Drop all parts, and what they kept of themselves: the judgement is written."""
        for path in _kept(self.folder):
            path.unlink(missing_ok=True)
        for folder in (*_folders(self.folder), self.folder):
            with suppress(OSError):  # it is not there, or somebody else's files are
                folder.rmdir()


def refuse_strangers(folder: Path) -> None:
    """Refuse a folder that holds what no store has written, before any work is done for it.

    Raises:
        Mistake: naming what is there.
    """
    if folder.exists() and not folder.is_dir():
        raise Mistake(f"{folder}, where parts are kept, is a file: choose another --out")
    folders = list(_folders(folder))
    known = {*folders, *_kept(folder)}
    for place in (folder, *folders):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if path not in known:
                raise Mistake(
                    f"{path} is no part of a judgement, and parts are kept there: choose another "
                    "--out"
                )


def _folders(folder: Path) -> Iterator[Path]:
    """Return the folders of shelves."""
    return (path for path in folder.glob("*") if path.is_dir() and not path.is_symlink())


def _kept(folder: Path) -> Iterator[Path]:
    """Return the files that a store and its shelves have written."""
    for place in (folder, *_folders(folder)):
        for file in place.glob("*.json"):
            if _HALF_WRITTEN.fullmatch(file.name) or _is_kept(file):
                yield file


def _is_kept(file: Path) -> bool:
    """Tell a part of any key, or a shelf's entry, from other people's files."""
    try:
        kept = read_json(file)
    except Mistake:
        return False
    return isinstance(kept, dict) and "key" in kept and bool({"part", "name"} & kept.keys())


class Shelf(MutableMapping[str, Any]):
    """A mapping on disk, one file for each entry, whole or absent.

    Args:
        folder: made with the first entry.
        key: of all that the entries depend on; those of another key are not seen.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self.kept: dict[str, Any] = {}
        for file in sorted(folder.glob("*.json")):
            try:
                entry = read_json(file)
            except Mistake:
                continue
            if isinstance(entry, dict) and entry.get("key") == key and "name" in entry:
                self.kept[str(entry["name"])] = entry.get("value")

    def __getitem__(self, name: str) -> Any:
        return self.kept[name]

    def __setitem__(self, name: str, value: Any) -> None:
        write_json(self._file(name), {"key": self.key, "name": name, "value": value})
        self.kept[name] = value

    def __delitem__(self, name: str) -> None:
        del self.kept[name]
        self._file(name).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self.kept)

    def __len__(self) -> int:
        return len(self.kept)

    def _file(self, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
