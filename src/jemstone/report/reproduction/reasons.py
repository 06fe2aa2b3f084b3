"""Why many runs failed, without saying the same thing many times."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["reasons_told"]

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")


def reasons_told(whys: Iterable[str]) -> list[str]:
    """Count reasons that differ in their numbers alone, and give the range of each number.

    >>> reasons_told(["loss is 2.7e+04", "loss is nan", "loss is 9.6e+22", "loss is nan"])
    ['loss is 2.7e+04 to 9.6e+22 (2 runs)', 'loss is nan (2 runs)']
    >>> reasons_told(["loss is 4"])
    ['loss is 4']

    Args:
        whys: the reason of each run.
    """
    alike: dict[str, list[str]] = {}
    for why in whys:
        alike.setdefault(_NUMBER.sub("#", why), []).append(why)
    return [
        _ranges(own) + (f" ({len(own)} runs)" if len(own) > 1 else "") for own in alike.values()
    ]


def _ranges(whys: list[str]) -> str:
    """Write the first with the range that all have in the place of each of its numbers."""
    columns = zip(*(_NUMBER.findall(why) for why in whys), strict=True)
    spans = [(min(column, key=float), max(column, key=float)) for column in columns]
    told = iter(low if float(low) == float(high) else f"{low} to {high}" for low, high in spans)
    return _NUMBER.sub(lambda _: next(told), whys[0])
