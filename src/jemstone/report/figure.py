"""The picture of a run: rows are classes, panels are the stages from data to samples."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.files import write_whole

__all__ = ["draw_panels", "png_address", "save_titled", "tiled"]


def draw_panels(
    path: Path,
    panels: Mapping[str, Tensor],
    classes: tuple[str, ...],
    title: str = "",
    inches: tuple[float, float] = (2.4, 3.0),
) -> None:
    """Draw panels side by side, one row for each class.

    Args:
        path: of the PNG.
        panels: by their titles: images (K * n, C, H, W) in [0, 1], class by class.
        classes: names of the K classes.
        title: above all.
        inches: width and height of a panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(inches[0] * len(panels) + 0.4, inches[1]), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for number, (axis, (name, x)) in enumerate(zip(axes, panels.items(), strict=True)):
        image = tiled(x, len(classes))
        axis.imshow(image.clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(name, fontsize=9, parse_math=False)
        axis.set_xticks([])
        height = image.shape[0] / len(classes)
        rows = [height * (k + 0.5) for k in range(len(classes))]
        axis.set_yticks(
            rows if number == 0 else [], classes if number == 0 else [], parse_math=False
        )
        axis.tick_params(length=0, labelsize=8)
        for spine in axis.spines.values():
            spine.set_visible(False)
        axis.set_anchor("N")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_titled(path, figure, title)


def save_titled(path: Path, figure: Any, title: str) -> None:
    """Write a figure with a title above the middle of its pictures, and no margin around.

    Args:
        path: of the PNG.
        figure: its pictures lie at the top of their axes.
        title: may have many lines.
    """
    above = figure.suptitle(title, fontsize=9, parse_math=False) if title else None
    figure.draw_without_rendering()  # only then it is known where pictures lie
    figure.set_layout_engine("none")
    boxes = [axis.get_position() for axis in figure.axes]
    if above is not None:
        above.set_x((min(box.x0 for box in boxes) + max(box.x1 for box in boxes)) / 2)
    write_whole(
        path, lambda beside: figure.savefig(beside, dpi=200, bbox_inches="tight", pad_inches=0.06)
    )


def tiled(x: Tensor, rows: int) -> Tensor:
    """Lay images (R * n, C, H, W) out in R rows, a pixel of grey between them.

    Of what is neither grey nor colour, the channels stand side by side.
    """
    if x.shape[1] not in (1, 3):
        x = torch.cat(x.split(1, dim=1), dim=-1)
    x = torch.nn.functional.pad(x, (1, 1, 1, 1), value=0.5)
    x = x.unflatten(0, (rows, -1)).permute(0, 3, 1, 4, 2)  # R, H, n, W, C
    tiled = x.flatten(2, 3).flatten(0, 1)
    return tiled[..., 0] if tiled.shape[-1] == 1 else tiled


def png_address(picture: Tensor) -> str:
    """Write a picture as a PNG, pixel by pixel, into a data address.

    Args:
        picture: uint8 (H, W) or (H, W, C), grey or coloured; of other channels the first is shown.
    """
    from PIL import Image

    if picture.ndim == 3 and picture.shape[-1] != 3:
        picture = picture[..., 0]
    file = io.BytesIO()
    Image.fromarray(picture.contiguous().numpy()).save(file, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
