"""What can go wrong by the user's hand, told in one line; and what does by nobody's."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["Mistake", "brief", "nearest", "of_the_environment", "unknown"]

_LONGEST = 80  # characters of what somebody gave, where it is said again
_SPENT = ("not enough memory", "can't allocate memory", "out of memory")  # torch's allocators
_LONGEST_REASON = 300


class Mistake(ValueError):
    """The user's mistake: one line that says what is wrong and how to mend it."""


def of_the_environment(error: BaseException) -> bool:
    """Tell a full disk, memory that is spent and processes that died from faults of our own.

    Torch's allocators, and its talk with other processes, raise a ``RuntimeError``.

    >>> of_the_environment(OSError("no space left")), of_the_environment(RuntimeError("shapes"))
    (True, False)
    """
    if isinstance(error, OSError | MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    from torch.distributed import DistError

    told = str(error)
    talk = isinstance(error, DistError) or "/gloo/" in told
    return talk or any(words in told for words in _SPENT)


def brief(reason: object) -> str:
    r"""Return what somebody else's error says, in one line of bearable length.

    >>> brief("two\nlines")
    'two lines'
    >>> brief(AssertionError())
    'AssertionError'
    """
    told = str(reason)
    if not told and isinstance(reason, BaseException):
        told = type(reason).__name__
    line = " ".join(told.split())
    return line if len(line) <= _LONGEST_REASON else line[:_LONGEST_REASON] + "..."


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the entry of ``names`` most like ``name``, or None where nothing is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return close[0] if close else None


def unknown(kind: str, name: str, names: Iterable[str]) -> Mistake:
    """Build the mistake of naming something that does not exist.

    >>> str(unknown("recipe", "robust-jam", ["jem", "robust-jem"]))
    "no recipe 'robust-jam': did you mean 'robust-jem'? (known: jem, robust-jem)"
    """
    names = list(names)
    name = name if len(name) <= _LONGEST else name[:_LONGEST] + "..."
    guess = nearest(name, names)
    hint = f"did you mean '{guess}'? " if guess else ""
    return Mistake(f"no {kind} '{name}': {hint}(known: {', '.join(names)})")
