"""How much memory there is, so that what cannot fit is refused before it is asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from jemstone.errors import Mistake

__all__ = ["gibibytes", "machine_memory", "refuse_beyond_memory"]

_CONTAINER = Path("/sys/fs/cgroup/memory.max")


def machine_memory() -> int | None:
    """Return the bytes that a process may have here; None where the system does not tell.

    The least of the machine's memory, the container's limit and the process's own.
    """
    limits = []
    with suppress(AttributeError, OSError, ValueError):  # where the system is not a POSIX one
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # no container, or one without a limit
        limits.append(int(_CONTAINER.read_text()))
    with suppress(ImportError):
        import resource

        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    return min((limit for limit in limits if limit > 0), default=None)


def gibibytes(size: float) -> str:
    """Write a number of bytes for people.

    >>> gibibytes(3 * 2**29), gibibytes(2**20), gibibytes(2**40)
    ('1.5 GiB', '0.1 GiB', '1,024 GiB')
    """
    gib = size / 2**30
    return f"{gib:,.0f} GiB" if gib >= 100 else f"{max(gib, 0.1):.1f} GiB"


def refuse_beyond_memory(size: int, what: str, remedy: str = "") -> None:
    """Refuse what claims more bytes than the machine has.

    Args:
        size: bytes.
        what: claims them.
        remedy: how to do without.

    Raises:
        Mistake: where they do not fit.
    """
    there = machine_memory()
    if there is not None and size > there:
        told = f"{what} claims {gibibytes(size)}, this machine has {gibibytes(there)}"
        raise Mistake(f"{told}: {remedy}" if remedy else told)
