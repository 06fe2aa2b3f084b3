"""Parts of a judgement, kept as they are done, so that it goes on where it was interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from jemstone.errors import Mistake
from jemstone.files import read_json, write_json

__all__ = ["Store"]


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

    def remove(self) -> None:
        """Drop all parts: the judgement is written."""
        shutil.rmtree(self.folder, ignore_errors=True)
