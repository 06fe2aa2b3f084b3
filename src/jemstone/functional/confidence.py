r"""How sure a mean or a share is: intervals of each, and of the difference of two.

References:
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927
    Welch, "The generalization of Student's problem when several variances are involved", 1947
    Newcombe, "Interval estimation for the difference between independent proportions", 1998
"""

from __future__ import annotations

import math
from statistics import NormalDist

from torch import Tensor

from jemstone.errors import Mistake

__all__ = [
    "mean_interval",
    "newcombe_interval",
    "standard_error",
    "welch_interval",
    "wilson_interval",
]


def standard_error(values: Tensor) -> float:
    r"""Compute :math:`s / \sqrt{n}`, the standard error of a mean.

    Args:
        values: independent measurements, (n,).

    Raises:
        Mistake: for fewer than two.
    """
    if len(values) < 2:
        raise Mistake(f"a standard error needs at least two values, not {len(values)}")
    return float(values.double().std()) / math.sqrt(len(values))


def mean_interval(values: Tensor, confidence: float = 0.95) -> tuple[float, float]:
    r"""Compute Student's interval for a mean, :math:`\bar v \pm t_{n-1} \, s / \sqrt{n}`.

    >>> import torch
    >>> low, high = mean_interval(torch.tensor([1.0, 2.0, 3.0]))
    >>> f"{low:.3f} {high:.3f}"
    '-0.484 4.484'

    Args:
        values: independent measurements, (n,).
        confidence: chance that such an interval holds the mean.

    Raises:
        Mistake: for fewer than two values, or a confidence outside (0, 1).
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

    mean = float(values.double().mean())
    half = standard_error(values) * float(stdtrit(len(values) - 1, _upper_tail(confidence)))
    return mean - half, mean + half


def welch_interval(a: Tensor, b: Tensor, confidence: float = 0.95) -> tuple[float, float]:
    r"""Compute Welch's interval for a difference of means, :math:`\bar a - \bar b \pm t_\nu \, s`.

    With :math:`s^2 = s_a^2 + s_b^2` of the two standard errors, and
    :math:`\nu = s^4 / (s_a^4 / (n_a - 1) + s_b^4 / (n_b - 1))`.

    Args:
        a: independent measurements, (n_a,).
        b: others, (n_b,).
        confidence: chance that such an interval holds the difference.

    Raises:
        Mistake: for fewer than two values of either, or a confidence outside (0, 1).
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

    difference = float(a.double().mean() - b.double().mean())
    first, second = (standard_error(values) ** 2 for values in (a, b))
    square, spread = first + second, first**2 / (len(a) - 1) + second**2 / (len(b) - 1)
    # Where nothing varies, nothing is uncertain.
    freedom = square**2 / spread if spread else 1.0
    half = math.sqrt(square) * float(stdtrit(freedom, _upper_tail(confidence)))
    return difference - half, difference + half


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    r"""Compute Wilson's interval for a share :math:`p`, honest near 0 and 1.

    .. math:: \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4n^2}}{1 + z^2 / n}

    >>> low, high = wilson_interval(0, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.000 0.278'

    Args:
        successes: how many of the trials; a tie may count half.
        n: trials.
        confidence: chance that such an interval holds the share.

    Returns:
        Lowest and highest, both in [0, 1].

    Raises:
        Mistake: for no trial, successes that are not among them, or a confidence outside (0, 1).
    """
    if not 0 <= successes <= n or n < 1:
        raise Mistake(f"{successes} of {n} is not a share: give 0 <= successes <= n, n >= 1")
    z = NormalDist().inv_cdf(_upper_tail(confidence))
    p = successes / n
    middle = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    # The interval holds p; rounding must not say otherwise at 0 and 1.
    return max(0.0, min(p, (middle - half) / scale)), min(1.0, max(p, (middle + half) / scale))


def newcombe_interval(
    first: tuple[int, int], second: tuple[int, int], confidence: float = 0.95
) -> tuple[float, float]:
    r"""Compute Newcombe's interval for a difference of shares, :math:`p - q`, from Wilson's two.

    Its lower end is :math:`p - q - \sqrt{(p - l_p)^2 + (u_q - q)^2}`.

    Args:
        first: successes and trials of :math:`p`.
        second: of :math:`q`.
        confidence: chance that such an interval holds the difference.

    Raises:
        Mistake: as :func:`wilson_interval` does.
    """
    (low, high), (lower, higher) = (wilson_interval(*s, confidence) for s in (first, second))
    p, q = (successes / n for successes, n in (first, second))
    return p - q - math.hypot(p - low, higher - q), p - q + math.hypot(high - p, q - lower)


def _upper_tail(confidence: float) -> float:
    """Return the quantile at which a two-sided interval ends."""
    if not 0 < confidence < 1:
        raise Mistake(f"a confidence lies between 0 and 1, not at {confidence}: 0.95 is usual")
    return 0.5 + confidence / 2
