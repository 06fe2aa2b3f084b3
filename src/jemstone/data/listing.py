"""Which picture files a folder holds: names, sizes and times, and nothing of what is in them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from jemstone.data.pictures import ENDINGS
from jemstone.errors import Mistake, brief

__all__ = ["Listing"]

_SYSTEM = ("__MACOSX", "Thumbs.db", "desktop.ini")
_DIGITS = 16


class Listing:
    """Read folders, and remember what was read.

    Hidden files and those of operating systems are as if they were not there. A link is followed
    where it leads to a file inside the set's folder.

    Args:
        root: folder of the data set.
    """

    def __init__(self, root: Path) -> None:
        self.ignored: list[str] = []
        """Files among the pictures that are none, by their endings."""
        self._root = root.resolve()
        self._digest = hashlib.sha256()

    def digest(self) -> str:
        """Return 16 hexadecimal digits that tell the pictures read so far from any others."""
        return self._digest.hexdigest()[:_DIGITS]

    def folders(self, folder: Path) -> list[str]:
        """Return the names of the folders in a folder, sorted as text.

        Raises:
            Mistake: where the folder cannot be read, one in it is a link, or a name is not text.
        """
        names = []
        for entry in _entries(folder):
            if not entry.is_dir():
                continue
            if entry.is_symlink():
                raise Mistake(f"{brief(entry.path)} is a link to a folder: put the folder there")
            if not entry.name.isprintable():
                raise Mistake(f"{entry.path!r} is no name for a class: give it another")
            names.append(entry.name)
        return names

    def pictures(self, folder: Path) -> list[str]:
        """Return the paths of the pictures in a class folder, sorted by name.

        Raises:
            Mistake: where there are none, a folder is among them, or a link leads out.
        """
        found = []
        for entry in _entries(folder):
            if entry.is_symlink():
                self._check_link(entry)
            if entry.is_dir():
                raise Mistake(
                    f"{folder} has a folder in it, {brief(entry.name)}: "
                    "the pictures of a class lie in one folder"
                )
            if not entry.is_file() or not entry.name.lower().endswith(ENDINGS):
                self.ignored.append(entry.path)
                continue
            about = entry.stat()
            name = os.fsencode(os.path.relpath(entry.path, self._root))
            self._digest.update(b"%b\0%d %d\n" % (name, about.st_size, about.st_mtime_ns))
            found.append(entry.path)
        if not found:
            raise Mistake(
                f"{folder} holds no pictures: fill it or remove it "
                f"(endings: {' '.join(sorted(ENDINGS))})"
            )
        return found

    def _check_link(self, entry: os.DirEntry[str]) -> None:
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError) as error:  # it leads nowhere, or round in a circle
            raise Mistake(f"{brief(entry.path)} is a link that leads nowhere: remove it") from error
        if not target.is_relative_to(self._root):
            raise Mistake(f"{brief(entry.path)} is a link out of the data set: put the file there")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, sorted by name."""
    try:
        with os.scandir(folder) as found:
            entries = [e for e in found if not e.name.startswith(".") and e.name not in _SYSTEM]
    except OSError as error:
        raise Mistake(f"{folder} cannot be read: {error.strerror}") from error
    return sorted(entries, key=lambda entry: entry.name)
