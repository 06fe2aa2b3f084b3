"""What samples show, where nobody knows what they were meant to."""

from __future__ import annotations

import torch
from torch import Tensor

from jemstone.data import Images
from jemstone.metrics import predictions
from jemstone.types import EnergyModel

__all__ = ["shown_classes"]


def shown_classes(model: EnergyModel, pixels: Tensor) -> Tensor:
    """Return the class that the model sees in each image, int64 (N,).

    A chain on E(x) may leave the class it began in, so it is labelled by what it shows.

    Args:
        model: the classifier.
        pixels: uint8 (N, C, H, W), as they are saved and judged.
    """
    nameless = Images(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    return predictions(model, nameless).argmax(dim=1)
