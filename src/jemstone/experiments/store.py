"""Parts of a judgement, kept as they are done, so that it goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from jemstone.errors import Mistake
from jemstone.files import read_json, write_json

__all__ = ["Shelf", "Store"]


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
        """Drop all parts: the judgement is written."""
        shutil.rmtree(self.folder, ignore_errors=True)


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
