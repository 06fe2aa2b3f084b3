"""How images are gone through: batch by batch, by this process or by many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Deal", "alone"]


class Deal(Protocol):
    """Who takes which batch."""

    def __call__(self, work: Callable[[Tensor], Tensor], count: int, batch_size: int) -> Tensor:
        """Return what ``work`` makes of all images.

        Args:
            work: of the places of a batch, int64 (B,), to a row for each image (B, ...), on the
                processor.
            count: N, at least 1.
            batch_size: images in a batch, but for the last one.
        """
        ...


def alone(work: Callable[[Tensor], Tensor], count: int, batch_size: int) -> Tensor:
    """Take every batch, one after the other; a :class:`Deal`.

    >>> alone(lambda places: 10 * places, 5, 2)
    tensor([ 0, 10, 20, 30, 40])

    Args:
        work: of the places of a batch, int64 (B,), to a row for each image (B, ...).
        count: N, at least 1.
        batch_size: images in a batch, but for the last one.
    """
    return torch.cat([work(places) for places in torch.arange(count).split(batch_size)])
