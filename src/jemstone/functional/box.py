"""The box that pixels lie in, [0, 1] unless another is named."""

from __future__ import annotations

from torch import Tensor

from jemstone.errors import Mistake

__all__ = ["at_bounds", "check_box", "in_box"]


def in_box(x: Tensor, low: float = 0.0, high: float = 1.0) -> bool:
    """Tell whether all pixels lie in the box; one that is no number does not.

    Args:
        x: images (B, C, H, W), B may be 0.
        low: the least that a pixel may be.
        high: the largest.
    """
    if not x.numel():
        return True
    least, largest = x.aminmax()
    return bool((least >= low) & (largest <= high))


def check_box(x: Tensor, low: float = 0.0, high: float = 1.0) -> None:
    """Refuse images that leave the box: a radius or a step would mean something else there.

    Args:
        x: images (B, C, H, W), B may be 0.
        low: the least that a pixel may be.
        high: the largest.

    Raises:
        Mistake: where a pixel is outside, or no number.
    """
    if not in_box(x, low, high):
        least, largest = (float(pixel) for pixel in x.aminmax())
        raise Mistake(
            f"pixels in [{least:.3g}, {largest:.3g}] lie outside [{low:g}, {high:g}]: rescale the "
            "images, and let the model normalise"
        )


def at_bounds(x: Tensor) -> float:
    """Return the share of pixels not inside (0, 1), those that are no numbers among them.

    Args:
        x: images (B, C, H, W).
    """
    return int((~((x > 0) & (x < 1))).sum()) / x.numel()
