"""Images, and what it costs to draw one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from jemstone.data import to_bytes
from jemstone.experiments.drawing import refuse_exploded
from jemstone.experiments.reproduction.peak import read_peak, reset_peak
from jemstone.training import Device

__all__ = ["COSTS", "drawn"]

COSTS = ("seconds_per_image", "passes_per_image", "peak_bytes")


def drawn(
    draw: Callable[[], Tensor], count: int, steps: int, device: Device
) -> tuple[Tensor, dict[str, Any]]:
    """Draw images, and return their bytes with :data:`COSTS`.

    Args:
        draw: returns images (N, C, H, W) in [0, 1].
        count: N.
        steps: passes through the network for each.
        device: that draws.

    Raises:
        Exploded: where a pixel is not finite.
    """
    fresh, began = reset_peak(device), time.perf_counter()
    x = refuse_exploded(draw())
    seconds = (time.perf_counter() - began) / count
    cost = {
        "seconds_per_image": seconds,
        "passes_per_image": steps,
        "peak_bytes": read_peak(device, fresh),
    }
    return to_bytes(x.cpu()), cost
