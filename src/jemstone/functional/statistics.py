r"""What no library gives: neighbours, spreads, shares, and how sure a mean or a share is.

References:
    Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020,
    https://arxiv.org/abs/2002.09797
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927
    Welch, "The generalization of Student's problem when several variances are involved", 1947
    Newcombe, "Interval estimation for the difference between independent proportions", 1998
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor

from jemstone.errors import Mistake

__all__ = [
    "at_bounds",
    "check",
    "checked",
    "density_coverage",
    "mean_interval",
    "nearest_distances",
    "newcombe_interval",
    "precise",
    "robust_scores",
    "standard_error",
    "welch_interval",
    "wilson_interval",
    "within_class_spread",
]


def precise(x: Tensor) -> Tensor:
    """Return numbers in float64, or in float32 where the device has nothing wider, as ``mps``."""
    return x.float() if x.device.type == "mps" else x.double()


def at_bounds(x: Tensor) -> float:
    """Return the share of pixels not inside (0, 1), those that are no numbers among them.

    Args:
        x: images (B, C, H, W).
    """
    return int((~((x > 0) & (x < 1))).sum()) / x.numel()


def check(figure: str, least: int, *matrices: Tensor) -> None:
    """Refuse what a figure cannot be computed from.

    Args:
        figure: its name, for the message.
        least: the fewest rows that do.
        matrices: (N, D) each, one row per image; D is the same for all.

    Raises:
        Mistake: for too few rows, entries that are not finite, or other shapes.
    """
    for matrix in matrices:
        if matrix.dim() != 2 or matrix.shape[1] != matrices[0].shape[1]:
            shapes = " and ".join(str(tuple(m.shape)) for m in matrices)
            raise Mistake(f"{figure} needs one row per image, all of one width, not {shapes}")
        if len(matrix) < least:
            raise Mistake(f"{figure} needs at least {least} images, not {len(matrix)}")
        if not matrix.isfinite().all():
            raise Mistake(f"{figure} needs finite numbers: an image has a NaN or an infinity")


def checked(figure: str, least: int, *matrices: Tensor) -> list[Tensor]:
    """Return the matrices in float64, or refuse them as :func:`check` does."""
    check(figure, least, *matrices)
    return [matrix.double() for matrix in matrices]


def nearest_distances(
    x: Tensor, reference: Tensor, *, exclude_self: bool = False, chunk: int = 2048
) -> Tensor:
    r"""Compute :math:`\min_j \|x_i - r_j\|_2`, exactly zero for a copy.

    Args:
        x: N rows, (N, D), of any type; they are read in float64.
        reference: M rows, (M, D).
        exclude_self: for ``x`` that is ``reference`` itself: row i is not its own neighbour.
        chunk: rows compared at a time; memory holds ``chunk`` x ``chunk`` distances.

    Returns:
        The distances in the rows' units, float64 (N,).

    Raises:
        Mistake: where there is no row to be near to.
    """
    if len(reference) <= int(exclude_self):
        raise Mistake(f"there is no neighbour among {len(reference)} images: give more")
    if exclude_self and len(x) != len(reference):
        raise Mistake(f"{len(x)} images are not the {len(reference)} they are compared with")
    nearest = torch.full((len(x),), math.inf, dtype=torch.float64, device=x.device)
    for rows in torch.split(torch.arange(len(x), device=x.device), chunk):
        part = x[rows].double()
        for columns in torch.split(torch.arange(len(reference), device=x.device), chunk):
            other = reference[columns].double()
            distances = torch.cdist(part, other)
            if exclude_self:
                distances[rows[:, None] == columns] = math.inf
            shortest, place = distances.min(dim=1)
            # A fast distance is a difference of squares: right about who is nearest, and wrong
            # by 1e-8 of the rows' length about how near a copy is.
            exact = (part - other[place]).norm(dim=1)
            exact = torch.where(shortest.isposinf(), shortest, exact)
            nearest[rows] = torch.minimum(nearest[rows], exact)
    return nearest


def density_coverage(
    real: Tensor, fake: Tensor, k: int = 5, *, chunk: int = 1024
) -> tuple[float, float]:
    r"""Compute density and coverage of samples, with balls around the real images.

    With :math:`B_i` the open ball around :math:`r_i` that reaches its k-th nearest neighbour:

    .. math:: \text{density} = \frac{1}{k M} \sum_j \sum_i 1[f_j \in B_i], \quad
              \text{coverage} = \frac{1}{N} \sum_i 1[\exists j : f_j \in B_i]

    References:
        Naeem et al., 2020, https://arxiv.org/abs/2002.09797

    Args:
        real: features :math:`r` of real images, (N, D).
        fake: features :math:`f` of samples, (M, D).
        k: the neighbour that a ball reaches.
        chunk: rows compared at a time.

    Returns:
        The density, which may exceed 1, and the coverage.

    Raises:
        Mistake: for fewer than k + 1 real images, no sample, or features that are not finite.
    """
    if k < 1:
        raise Mistake(f"a ball reaches a neighbour, the first or a later one, not number {k}")
    (real,) = checked("density", k + 1, real)
    _, fake = checked("density", 1, real, fake)
    # The row itself is the nearest of all, at distance 0: hence k + 1.
    radii = [torch.cdist(part, real).kthvalue(k + 1).values for part in torch.split(real, chunk)]
    radius = torch.cat(radii)
    inside = 0
    covered = torch.zeros_like(radius, dtype=torch.bool)
    for part in torch.split(fake, chunk):
        within = torch.cdist(part, real) < radius
        inside += int(within.sum())
        covered |= within.any(dim=0)
    return inside / (k * len(fake)), float(covered.double().mean())


def within_class_spread(features: Tensor, labels: Tensor) -> float:
    r"""Compute the mean over classes of the mean of :math:`\|f_i - \bar f_{y_i}\|_2`.

    Args:
        features: :math:`f`, (N, D), of any type.
        labels: :math:`y`, int64 (N,).

    Raises:
        Mistake: where a class has one member, which cannot spread, or there is none at all.
    """
    spreads = []
    for k in labels.unique().tolist():
        members = features[labels == k].double()
        if len(members) < 2:
            raise Mistake(f"class {k} has one image: a spread needs at least two")
        spreads.append((members - members.mean(dim=0)).norm(dim=1).mean())
    if not spreads:
        raise Mistake("a spread needs at least two images, not none")
    return float(torch.stack(spreads).mean())


def robust_scores(values: Tensor) -> Tensor:
    r"""Compute :math:`(v - m) / 1.4826 d`; :math:`m` is the median, :math:`d` of :math:`|v - m|`.

    On normal values these are standard scores, whatever a few outliers are like.

    >>> robust_scores(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 1e9]))[-1] > 1e8
    tensor(True)

    Args:
        values: (N,); what is not finite has no score (NaN or infinite), and counts nowhere.
    """
    known = values[values.isfinite()].double()
    if not len(known):
        return torch.full_like(values, torch.nan)
    middle = known.median()
    spread = (known - middle).abs().median()
    # Where most values are one, the others are as far as rounding makes them.
    least = torch.finfo(values.dtype).eps * middle.abs().clamp(min=1.0)
    return ((values.double() - middle) / (1.4826 * spread).clamp(min=least)).to(values.dtype)


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
