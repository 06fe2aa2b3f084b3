"""Which held-out images are attacked in the quick suite, and within which radii."""

from __future__ import annotations

from jemstone.data import DataSet, Images
from jemstone.types import Generator

__all__ = ["FIELD_EPS", "attacked_images", "radii", "usual"]

FIELD_EPS = 8 / 255
"""The radius in Linf at which papers attack photographs."""

_ATTACKED = 1000  # held-out images at most: every one costs hundreds of passes


def attacked_images(images: Images, generator: Generator) -> Images:
    """Choose the held-out images that are attacked: all, or 1,000 drawn without replacement.

    Args:
        images: held out.
        generator: the seed of the choice.
    """
    if len(images) <= _ATTACKED:
        return images
    chosen = generator.fold("attacked").permutation(len(images))[:_ATTACKED].sort().values
    return Images(images.pixels[chosen], images.labels[chosen])


def radii(norm: str, eps: float, data: DataSet) -> list[float]:
    """Return the radii to judge at: half the threat's, the whole, and the field's 8/255.

    Args:
        norm: of the threat model, linf or l2.
        eps: its radius in [0, 1] pixels.
        data: colour images are held to 8/255 in Linf too.
    """
    return sorted({eps / 2, eps, *usual(norm, data)})


def usual(norm: str, data: DataSet) -> list[float]:
    """Return the radii that papers quote for such data: 8/255 in Linf on colour images, or none.

    Args:
        norm: of the ball, linf or l2.
        data: that is judged on.
    """
    return [FIELD_EPS] if norm == "linf" and data.shape[0] == 3 else []
