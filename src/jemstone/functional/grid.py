r"""Densities on the unit square, by quadrature: what a model of two pixels knows, exactly.

A density is a table over :math:`n \times n` cells of equal size, entry :math:`(i, j)` standing for
the point :math:`((i + ½) / n, (j + ½) / n)`. Everything is float64 and in logarithms, so that a
far tail stays a number. The midpoint rule's error falls as :math:`n^{-2}`: at most
:math:`\max |\nabla^2 f| / 24 n^2` for the integral of a smooth :math:`f`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "centres",
    "draw_points",
    "histogram",
    "kl_divergence",
    "log_masses",
    "log_partition",
    "pooled",
    "total_variation",
]


def centres(cells: int) -> Tensor:
    """Return the centres of the cells, float64 (n, n, 2).

    >>> centres(2)[0].tolist()
    [[0.25, 0.25], [0.25, 0.75]]

    Args:
        cells: n, along each side.
    """
    side = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    return torch.cartesian_prod(side, side).reshape(cells, cells, 2)


def log_partition(energy: Tensor) -> float:
    r"""Integrate :math:`\log Z = \log \int_{[0, 1]^2} \exp(-E(x)) \, dx` by the midpoint rule.

    >>> log_partition(torch.full((4, 4), 3.0))
    -3.0

    Args:
        energy: :math:`E` at the centres of the cells, (n, n).
    """
    return float(torch.logsumexp(-energy.double().flatten(), dim=0)) - math.log(energy.numel())


def log_masses(log_density: Tensor) -> Tensor:
    r"""Normalise: :math:`\log m = \log f - \log \sum f`, over all cells.

    Args:
        log_density: :math:`\log f` at the centres of the cells, up to a constant, (n, n).

    Returns:
        Float64 (n, n).
    """
    return log_density.double().flatten().log_softmax(dim=0).reshape(log_density.shape)


def pooled(log_m: Tensor, cells: int) -> Tensor:
    """Join cells to coarser ones.

    Args:
        log_m: log-masses, (n, n).
        cells: of the answer along each side, a divisor of n.

    Returns:
        Log-masses, (cells, cells).
    """
    block = len(log_m) // cells
    return log_m.reshape(cells, block, cells, block).logsumexp(dim=(1, 3))


def histogram(points: Tensor, cells: int) -> Tensor:
    """Count points: the log of each cell's share, minus infinity where there are none.

    Args:
        points: in [0, 1], (N, 2).
        cells: n, along each side.

    Returns:
        Log-masses, float64 (n, n).
    """
    places = (points.double() * cells).long().clamp(0, cells - 1)
    counts = torch.bincount(places[:, 0] * cells + places[:, 1], minlength=cells**2)
    return (counts.double() / len(points)).log().reshape(cells, cells)


def kl_divergence(log_p: Tensor, log_q: Tensor) -> float:
    r"""Compute :math:`KL(p \| q) = \sum p \log (p / q)`, in nats.

    Of the histogram of N draws from ``q``, it is not 0 but about :math:`(K - 1) / 2N` for K cells
    that are likely to be hit, as :math:`2 N \, KL` is nearly :math:`\chi^2_{K-1}`.

    >>> half = torch.tensor([[0.5, 0.5]]).log()
    >>> round(kl_divergence(torch.tensor([[1.0, 0.0]]).log(), half), 4)
    0.6931

    Args:
        log_p: log-masses, (n, n).
        log_q: log-masses, (n, n).
    """
    # What p never does costs nothing, whatever q thinks of it.
    terms = torch.where(log_p.isneginf(), 0.0, log_p.exp() * (log_p - log_q))
    return float(terms.sum())


def total_variation(log_p: Tensor, log_q: Tensor) -> float:
    r"""Compute :math:`\frac12 \sum |p - q|`, in [0, 1].

    Args:
        log_p: log-masses, (n, n).
        log_q: log-masses, (n, n).
    """
    return float((log_p.exp() - log_q.exp()).abs().sum()) / 2


def draw_points(log_m: Tensor, uniform: Tensor) -> Tensor:
    """Draw from a density exactly, up to the size of a cell: a cell by its mass, a point in it.

    Args:
        log_m: log-masses, (n, n).
        uniform: draws from U[0, 1), (N, 3): for the cell, and for the place in it.

    Returns:
        Points, float64 (N, 2).
    """
    cells, uniform = len(log_m), uniform.double()
    rising = log_m.exp().flatten().cumsum(dim=0)
    cell = torch.searchsorted(rising, uniform[:, 0].contiguous(), right=True)
    cell = cell.clamp(max=cells**2 - 1)  # rounding may leave the sum below 1
    corners = torch.stack([cell // cells, cell % cells], dim=1)
    return (corners + uniform[:, 1:]) / cells
