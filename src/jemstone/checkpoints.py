"""Where a run's checkpoints lie: ``checkpoint/`` is the newest, ``checkpoints/NNNNNN`` the older.

A new checkpoint is written beside the newest and takes its name when it is complete, after that
one has moved to the older. In the instant between, the newest complete one is among the older.
"""

from __future__ import annotations

from pathlib import Path

from jemstone.errors import Mistake

__all__ = ["checkpoints", "newest_checkpoint", "older_checkpoints"]


def older_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints before the newest, oldest first."""
    found = (run / "checkpoints").glob("[0-9]*")
    folders = [folder for folder in found if folder.name.isdecimal() and folder.is_dir()]
    return sorted(folders, key=lambda folder: (len(folder.name), folder.name))


def checkpoints(run: Path) -> list[Path]:
    """Return all complete checkpoints of a run, oldest first; none before its first."""
    newest = run / "checkpoint"
    return [*older_checkpoints(run), *([newest] if newest.is_dir() else [])]


def newest_checkpoint(run: Path) -> Path:
    """Return the newest complete checkpoint of a run.

    Raises:
        Mistake: where the run has none.
    """
    found = checkpoints(run)
    if not found:
        raise Mistake(f"{run} holds no checkpoint yet: go on with `jemstone train --resume {run}`")
    return found[-1]
