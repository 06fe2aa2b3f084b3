"""Principal directions of more rows than memory holds, and of more columns than a square takes.

References:
    Halko, Martinsson & Tropp, "Finding structure with randomness: probabilistic algorithms for
    constructing approximate matrix decompositions", SIAM Review 2011,
    https://arxiv.org/abs/0909.4061
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from jemstone.random import Generator

__all__ = ["Rows", "principal_directions", "sketch_size"]

Rows = Callable[[], Iterable[Tensor]]
"""Reads the rows anew at each call: float64 chunks (B, D)."""

_SPARE = 16
_PASSES = 24
_TOLERANCE = 1e-5  # what another pass has to add to the scatter that is captured


def sketch_size(size: int, rank: int) -> int:
    """Return how many directions are followed to find the leading ones.

    Args:
        size: D.
        rank: directions that are wanted.
    """
    return min(size, 2 * rank + _SPARE)


def principal_directions(rows: Rows, size: int, rank: int) -> tuple[Tensor, Tensor]:
    r"""Find the leading eigenpairs of :math:`S = \sum_i x_i x_i^T`, which is never written down.

    Subspace iteration: a basis :math:`Q` of a few directions more than are wanted becomes that of
    :math:`S Q`, one pass over the rows each time; the pairs are those of :math:`Q^T S Q`, and
    exact once :math:`Q` spans every row. It ends when a pass adds less than 1e-5 of the
    scatter that the leading pairs capture, or after 24 passes. The same rows give the same answer.

    References:
        Halko et al., 2011, https://arxiv.org/abs/0909.4061 (algorithm 4.4)

    Args:
        rows: :math:`x_i`, chunks of float64 (B, D).
        size: D.
        rank: pairs that are wanted, at most D.

    Returns:
        The eigenvalues (rank,), largest first, and unit eigenvectors (D, rank), float64.
    """
    width = sketch_size(size, rank)
    followed = Generator(0).normal((size, width), dtype=torch.float64)
    captured = 0.0
    for _ in range(_PASSES):
        basis = torch.linalg.qr(followed).Q
        followed = torch.zeros_like(basis)
        for chunk in rows():
            followed.addmm_(chunk.T, chunk @ basis)
        values, turn = torch.linalg.eigh(basis.T @ followed)
        values, turn = values[width - rank :].flip(0), turn[:, width - rank :].flip(1)
        before, captured = captured, float(values.sum())
        if captured - before <= _TOLERANCE * captured:
            break
    return values.clamp_min(0.0), basis @ turn
