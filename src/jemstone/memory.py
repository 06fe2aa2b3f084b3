"""How much memory there is, so that what cannot fit is refused before it is asked for.

And how it is kept: a pass through a network frees what the next one asks for again.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

from jemstone.errors import Mistake

__all__ = ["gibibytes", "keep_freed_memory", "machine_memory", "refuse_beyond_memory"]

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
# Of mallopt(3), and the largest values it takes.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_KEPT, _LARGEST_FROM_HEAP = 2**31 - 1, 2**25


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


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees, up to 2 GiB, to use it again.

    By default the C library hands large blocks back to the system, which clears every page of
    them when they are next asked for: on processors, a good part of the time of a pass. Numbers
    do not change; the process keeps what it held at its peak until it ends.

    Returns:
        Whether it does: not without the GNU C library, nor where the environment has settings of
        its own for it (``MALLOC_...``, ``GLIBC_TUNABLES``).
    """
    if sys.platform != "linux" or any(
        name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ
    ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    kept = mallopt(_TRIM_THRESHOLD, _MOST_KEPT), mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
    return all(kept)
