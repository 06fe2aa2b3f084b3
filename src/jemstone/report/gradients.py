"""Input gradients as pictures: images above, one row for each model below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import torch
from torch import Tensor

from jemstone.report.figure import save_titled, tiled

__all__ = ["draw_gradients", "gradient_picture"]

_SPREAD = 3.0
_LINE = 56  # letters of the title: as wide as the pictures


def gradient_picture(g: Tensor) -> Tensor:
    r"""Show gradients: grey is none, and :math:`\pm 3 \sigma` are the ends of the scale.

    :math:`\frac12 + \mathrm{clip}(g / 6 \sigma, \pm\frac12)`, with :math:`\sigma` the root mean
    square over an image's own entries, so rows show directions and not lengths.

    References:
        Tsipras et al., "Robustness may be at odds with accuracy", 2019,
        https://arxiv.org/abs/1805.12152 (who clip at three standard deviations around the mean)

    Args:
        g: gradients (B, C, H, W).

    Returns:
        Images (B, C, H, W) in [0, 1], float32.
    """
    largest = g.double().abs().amax(dim=(1, 2, 3), keepdim=True)
    g = g.double() / torch.where(largest > 0, largest, 1.0)
    sigma = g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    scaled = g / torch.where(sigma > 0, 2 * _SPREAD * sigma, 1.0)
    return (0.5 + scaled.clamp(-0.5, 0.5)).float()


def draw_gradients(path: Path, images: Tensor, rows: Mapping[str, Tensor], title: str = "") -> None:
    """Draw images in a first row, and the gradients of each model on them in one row more.

    Args:
        path: of the PNG.
        images: (B, C, H, W) in [0, 1].
        rows: by their labels: gradients (B, C, H, W).
        title: above all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    x = torch.cat([images, *(gradient_picture(g) for g in rows.values())])
    picture, labels = tiled(x, 1 + len(rows)), ["images", *rows]
    high, wide = picture.shape[:2]
    # Small beside its words, so that they can be read where a page is as narrow as a hand.
    figure = Figure(figsize=(1.1 + 4.2, 0.5 + 4.2 * high / wide), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.imshow(picture.clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks(
        [high / len(labels) * (k + 0.5) for k in range(len(labels))], labels, parse_math=False
    )
    axis.tick_params(length=0, labelsize=8)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_anchor("N")
    save_titled(path, figure, fill(title, _LINE))
