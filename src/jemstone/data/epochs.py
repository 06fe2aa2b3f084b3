"""Batches of training images, as a function of the step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jemstone.data.image_set import Images
from jemstone.types import Generator, Labelled

__all__ = ["Epochs"]


class Epochs:
    """Hand out shuffled batches: each epoch has an order of its own, its remainder dropped.

    Which images a step gets depends on (seed, step) alone, so a resumed run goes on in the data
    where it stopped.

    Args:
        images: to draw from.
        batch_size: B; a smaller set is one batch.
        generator: the randomness.
    """

    def __init__(self, images: Images, batch_size: int, generator: Generator) -> None:
        self.images = images
        self.batch_size = min(batch_size, len(images))
        self.generator = generator
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of whole batches in the set."""
        return len(self.images) // self.batch_size

    def batch(self, step: int, share: slice = slice(None)) -> Labelled:
        """Return the batch of a step.

        Args:
            step: counted from 0, on through the epochs.
            share: which of its images; all by default.
        """
        epoch, number = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffle(epoch)
        order = self._order[number * self.batch_size :][: self.batch_size]
        return self.images.take(order[share])

    def some(self, count: int) -> Iterator[Labelled]:
        """Yield up to ``count`` batches of one epoch: a fair sample of the set."""
        order = self._shuffle("sample")
        for number in range(min(count, self.steps_per_epoch)):
            yield self.images.take(order[number * self.batch_size :][: self.batch_size])

    def _shuffle(self, epoch: int | str) -> Tensor:
        return self.generator.fold("epoch", epoch).permutation(len(self.images))
