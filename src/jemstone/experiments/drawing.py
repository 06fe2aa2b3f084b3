"""Samples in any number, batch by batch, by one process or many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from jemstone.memory import refuse_beyond_memory
from jemstone.training import Device, Processes
from jemstone.types import EnergyModel, Generator, SampleFrom

__all__ = ["balanced_labels", "draw", "refuse_many"]

_COPIES = 16  # bytes of a sample's pixel: drawn, joined, rounded and looked at


def balanced_labels(count: int, classes: int) -> Tensor:
    """Return ``0, 1, ..., K - 1, 0, 1, ...``: every class as often as any other, int64 (N,)."""
    return torch.arange(count) % classes


def refuse_many(count: int, shape: Sequence[int]) -> None:
    """Refuse more samples than memory holds, before they are drawn.

    Args:
        count: of samples, as ``--n`` asks for.
        shape: (C, H, W) of each.

    Raises:
        Mistake: where they do not fit.
    """
    refuse_beyond_memory(count * math.prod(shape) * _COPIES, f"--n {count}")


@torch.no_grad()
def draw(
    model: EnergyModel,
    sampler: SampleFrom,
    y: Tensor,
    generator: Generator,
    *,
    batch_size: int = 250,
    device: Device | None = None,
    on_batch: Callable[[int], object] = lambda drawn: None,
    processes: Processes | None = None,
) -> Tensor:
    """Draw one image for each label, batch by batch; image i depends on (seed, i) alone.

    Many processes draw their shares, and each returns all images.

    Args:
        model: the energy.
        sampler: from scratch.
        y: labels, int64 (N,).
        generator: the randomness.
        batch_size: images at a time.
        device: where to draw, and in which precision; the processor, in float32, by default.
        on_batch: hears how many images there are.
        processes: that draw together, no more than images; by default this one alone.

    Returns:
        Images (N, C, H, W) in [0, 1], on the processor.
    """
    device, processes = device or Device(), processes or Processes()
    parts = []
    for places in torch.arange(len(y))[processes.share].split(batch_size):
        with device.autocast():
            x = sampler(model, y[places].to(device.name), generator.at(places))
        parts.append(x.clamp(0.0, 1.0).cpu())
        on_batch(int(places[-1]) + 1)
    return processes.join_shares(torch.cat(parts), len(y))
