"""Samples in any number, batch by batch, by one process or many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.memory import refuse_beyond_memory
from jemstone.training import Device, Processes
from jemstone.types import EnergyModel, Generator, SampleFrom

__all__ = ["Exploded", "balanced_labels", "draw", "refuse_exploded", "refuse_many"]

_COPIES = 16  # bytes of a sample's pixel: drawn, joined, rounded and looked at


class Exploded(Mistake):
    """Samples are no images: some pixel is not finite."""


def refuse_exploded(x: Tensor) -> Tensor:
    """Return images, or refuse them: as bytes, NaN would be black and infinity white.

    Raises:
        Exploded: where a pixel is not finite.
    """
    if not x.isfinite().all():
        raise Exploded("samples have pixels that are not finite: the network's energy has exploded")
    return x


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

    Raises:
        Exploded: in every process, where a pixel of any sample is not finite.
    """
    device, processes = device or Device(), processes or Processes()
    parts = []
    for places in torch.arange(len(y))[processes.share].split(batch_size):
        with device.autocast():
            x = sampler(model, y[places].to(device.name), generator.at(places))
        parts.append(x.cpu())
        on_batch(int(places[-1]) + 1)
    # Clamped only then: infinity would pass for white.
    return refuse_exploded(processes.join_shares(torch.cat(parts), len(y))).clamp_(0.0, 1.0)
