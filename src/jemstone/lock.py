"""One process at a time in a folder that is written into."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from jemstone.errors import Mistake

__all__ = ["Busy", "alone", "alone_in"]

Given = ParamSpec("Given")
Back = TypeVar("Back")


class Busy(Mistake):
    """Another process is at work where this one would be."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from working in a folder while this one does.

    The lock is the system's, which takes it away when a process ends, however it ends. Where there
    are none, as on Windows and some network disks, nothing is kept away.

    Args:
        folder: that is there; of one that is not, nobody is kept away.

    Raises:
        Busy: where another process is at work there.
    """
    try:
        import fcntl

        place = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"another process is at work in {folder}: wait until it ends") from error
        except OSError:
            pass  # a disk without locks
        yield
    finally:
        os.close(place)


def alone(
    method: Callable[Concatenate[Any, Given], Back],
) -> Callable[Concatenate[Any, Given], Back]:
    """Let a method of what has a folder, its ``path``, be alone in there; see :func:`alone_in`."""

    @functools.wraps(method)
    def run(self: Any, /, *given: Given.args, **options: Given.kwargs) -> Back:
        with alone_in(self.path):
            return method(self, *given, **options)

    return run
