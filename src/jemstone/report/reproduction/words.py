"""How a reproduction speaks of networks, samplers and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jemstone.experiments import duration
from jemstone.experiments.reproduction.rows import CONTROLS, NAMES

__all__ = [
    "ABSENT",
    "NAMES",
    "SAMPLERS",
    "amount",
    "bytes_told",
    "duration_told",
    "features_told",
    "mean_of",
    "named",
    "score",
    "setting",
]

ABSENT = "-"
_ROUNDING = 1e-6  # what a Fréchet distance of images to themselves may differ from 0 by
SAMPLERS = {
    "attack": "attack",
    "energy": "energy",
    "combined": "combined",
    "unconditional": "uncond.",
    "buffer": "buffer",
    "flow": "flow",
    **CONTROLS,
}
"""In the order of the matrix' columns."""


def named(names: Mapping[str, str], name: Any) -> str:
    """Return what people call something, or its own name."""
    return names.get(str(name), str(name))


def mean_of(figure: Any) -> float | None:
    """Return the mean of a figure; None where it was not measured.

    Args:
        figure: a mapping with a ``mean``, a number, or None.
    """
    value = figure.get("mean") if isinstance(figure, Mapping) else figure
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def amount(value: Any) -> str:
    """Write a number with three significant digits, a count with all of its own.

    >>> amount(-12.345), amount(40000.0), amount(60), amount(0.00012345), amount(None)
    ('-12.3', '40,000', '60', '0.00012', '-')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ABSENT
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    # Rounded first: 99.96 has as many digits before its point as 100 has.
    size = float(f"{abs(value):.3g}")
    digits = 2 - math.floor(math.log10(size)) if size else 0
    return f"{value:.2g}" if digits > 5 else f"{value:.{max(0, digits)}f}"


def setting(value: Any) -> str:
    """Write a recipe's value as its file has it.

    >>> setting(0.8), setting(None), setting(True), setting([1, 2.5])
    ('0.8', 'none', 'true', '1, 2.5')
    """
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def score(figure: Any, percent: bool = False) -> str:
    """Write a mean and its standard error, to the error's first digit, or second after a 1.

    >>> score({"mean": 46.4312, "se": 0.384}), score({"mean": 7.5, "se": None})
    ('46.4 ± 0.4', '7.50')
    >>> score({"mean": 0.9312, "se": 0.012}, percent=True), score(1e-12)
    ('93.1 ± 1.2 %', '0')

    Args:
        figure: ``mean`` and ``se`` over the seeds; ``se`` is None for one seed.
        percent: of a share.
    """
    mean = mean_of(figure)
    if mean is None:
        return ABSENT
    error = mean_of(figure.get("se")) if isinstance(figure, Mapping) else None
    factor, unit = (100.0, " %") if percent else (1.0, "")
    mean *= factor
    if abs(mean) < _ROUNDING:
        return f"0{unit}"
    if not error:
        return (f"{mean:.1f}" if percent else amount(mean)) + unit
    error = float(f"{factor * error:.1e}")
    power = math.floor(math.log10(error))
    digits = min(4, max(0, (error < 2 * 10.0**power) - power))
    return f"{mean:.{digits}f} ± {error:.{digits}f}{unit}"


def duration_told(seconds: Any) -> str:
    """Write a time in the unit that suits it.

    >>> duration_told(754), duration_told({"mean": 0.00123}), duration_told(None)
    ('12.6 min', '1.23 ms', '-')
    """
    value = mean_of(seconds)
    return ABSENT if value is None else duration(value, digits=3)


def bytes_told(count: Any) -> str:
    """Write an amount of memory.

    >>> bytes_told(3 * 2**29), bytes_told(2**20)
    ('1.50 GiB', '1.00 MiB')
    """
    value = mean_of(count)
    if value is None:
        return ABSENT
    return f"{amount(value / 2**30)} GiB" if value >= 2**30 else f"{amount(value / 2**20)} MiB"


def features_told(result: Mapping[str, Any]) -> str:
    """Say whose features IS and FID stand on, and what they compare with."""
    features = result.get("features")
    if "inception" in str(features).lower():
        return (
            f"IS and FID by the features of {features}; the paper does not say how many samples "
            "and which reference its own are of"
        )
    return (
        f"IS and FID by the features of {features}: compare with each other, not with the paper's"
    )
