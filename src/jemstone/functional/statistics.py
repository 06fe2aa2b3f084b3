r"""What no library gives: neighbours, spreads and shares of many rows of numbers.

References:
    Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020,
    https://arxiv.org/abs/2002.09797
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from jemstone.errors import Mistake

__all__ = [
    "check",
    "checked",
    "density_coverage",
    "nearest_distances",
    "precise",
    "robust_scores",
    "rows_at_a_time",
    "within_class_spread",
]


def precise(x: Tensor) -> Tensor:
    """Return numbers in float64, or in float32 where the device has nothing wider, as ``mps``."""
    return x.float() if x.device.type == "mps" else x.double()


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
    x: Tensor, reference: Tensor, *, exclude_self: bool = False, chunk: int | None = None
) -> Tensor:
    r"""Compute :math:`\min_j \|x_i - r_j\|_2`, exactly zero for a copy.

    Args:
        x: N rows of D numbers, (N, ...), of any type; they are read in float64, a chunk at a time,
            so that rows mapped from a file stay there.
        reference: M rows of as many numbers, (M, ...).
        exclude_self: for ``x`` that is ``reference`` itself: row i is not its own neighbour.
        chunk: rows compared at a time; None for as many as take 0.4 GB.

    Returns:
        The distances in the rows' units, float64 (N,).

    Raises:
        Mistake: where there is no row to be near to.
    """
    if len(reference) <= int(exclude_self):
        raise Mistake(f"there is no neighbour among {len(reference)} images: give more")
    if exclude_self and len(x) != len(reference):
        raise Mistake(f"{len(x)} images are not the {len(reference)} they are compared with")
    chunk = chunk or rows_at_a_time(reference)
    nearest = torch.full((len(x),), math.inf, dtype=torch.float64, device=x.device)
    for rows in torch.split(torch.arange(len(x), device=x.device), chunk):
        part = x[rows].flatten(1).double()
        for columns in torch.split(torch.arange(len(reference), device=x.device), chunk):
            other = reference[columns].flatten(1).double()
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


def rows_at_a_time(rows: Tensor) -> int:
    """Return how many rows to compare at a time: 2,048, or fewer where they are long.

    Two chunks of them, and what is made of each, stay below 0.4 GB in float64.

    Args:
        rows: (N, ...).
    """
    return max(1, min(2048, 2**23 // max(1, rows[:1].numel())))


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


def within_class_spread(
    features: Tensor, labels: Tensor, classes: Iterable[int] | None = None
) -> float:
    r"""Compute the mean over classes of the mean of :math:`\|f_i - \bar f_{y_i}\|_2`.

    Args:
        features: :math:`f`, N rows of any shape, (N, ...), and type; a class is read at a time.
        labels: :math:`y`, int64 (N,).
        classes: those that count; None for all that there are.

    Raises:
        Mistake: where a class has one member, which cannot spread, or there is none at all.
    """
    spreads = []
    for k in labels.unique().tolist() if classes is None else classes:
        members = features[labels == k].flatten(1).double()
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
