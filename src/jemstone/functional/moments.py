r"""Mean and covariance of rows that come in chunks, in float64.

References:
    Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979, http://i.stanford.edu/pub/cstr/reports/cs/tr/79/773/CS-TR-79-773.pdf
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from jemstone.errors import Mistake

__all__ = ["Moments", "moments"]


@dataclass(frozen=True)
class Moments:
    r"""The first two moments of rows, however many there were.

    Args:
        count: n, of the rows.
        mean: :math:`\mu`, float64 (D,).
        scatter: :math:`\sum_i (x_i - \mu)(x_i - \mu)^T`, float64 (D, D).
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @property
    def covariance(self) -> Tensor:
        r""":math:`\Sigma`, the scatter over n - 1, (D, D).

        Raises:
            Mistake: for fewer than two rows.
        """
        if self.count < 2:
            raise Mistake(f"a covariance needs at least two rows, not {self.count}")
        return self.scatter / (self.count - 1)

    def __add__(self, other: Moments) -> Moments:
        r"""Join two sets of rows.

        With :math:`\delta = \mu' - \mu` the scatter of both is
        :math:`S + S' + \delta \delta^T n n' / (n + n')`.
        """
        count = self.count + other.count
        share = other.count / count
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter + (self.count * share) * torch.outer(apart, apart)
        return Moments(count, self.mean + share * apart, scatter)


def moments(chunks: Iterable[Tensor]) -> Moments:
    """Add up the moments of chunks; memory holds one of them, and D x D numbers.

    >>> rows = torch.rand(100, 3).double()
    >>> bool(moments(rows.split(7)).covariance.allclose(torch.cov(rows.T)))
    True

    Args:
        chunks: (B, D) each, of any type; they are read in float64.

    Raises:
        Mistake: where there is no row.
    """
    found: Moments | None = None
    for chunk in chunks:
        if not len(chunk):
            continue
        rows = chunk.double()
        mean = rows.mean(dim=0)
        rows = rows - mean
        part = Moments(len(rows), mean, rows.T @ rows)
        found = part if found is None else found + part
    if found is None:
        raise Mistake("moments need at least one row, not none")
    return found
