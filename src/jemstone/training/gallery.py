"""Pictures of a run as it goes on: few, small, and drawn without a look at the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from jemstone.files import write_whole
from jemstone.samplers import ReplayBuffer

__all__ = ["COLUMNS", "Gallery", "chains_shown", "grid", "labels_shown", "write_grid"]

COLUMNS = 8  # of a run's pictures: one class a row
_CLASSES = 10
_KEPT = 64


def grid(x: Tensor, columns: int = 10) -> Tensor:
    """Lay images out as one, small ones enlarged without smoothing.

    Args:
        x: images (B, C, H, W) in [0, 1]; of what is neither grey nor colour, the channels stand
            side by side.
        columns: images in a row.

    Returns:
        An image in colour, (3, H', W').
    """
    from torchvision.utils import make_grid

    if x.shape[1] not in (1, 3):
        x = torch.cat(x.split(1, dim=1), dim=-1)
    enlarge = max(1, 32 // x.shape[-1])
    x = x.repeat_interleave(enlarge, dim=-1).repeat_interleave(enlarge, dim=-2)
    whole: Tensor = make_grid(x, nrow=columns, padding=enlarge, pad_value=0.5)
    return whole.expand(3, -1, -1)  # a single grey image is left as it is


def write_grid(path: Path, x: Tensor, columns: int = 10) -> None:
    """Write images as one PNG.

    Args:
        path: of the PNG.
        x: images (B, C, H, W) in [0, 1], as for :func:`grid`.
        columns: images in a row.
    """
    from torchvision.utils import save_image

    write_whole(path, lambda beside: save_image(grid(x, columns), beside))


def labels_shown(classes: int) -> Tensor:
    """Return the classes of a run's picture, each as often as a row is long, int64.

    >>> labels_shown(1000).unique().tolist()
    [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]

    Args:
        classes: K; of many, ten are shown.
    """
    rows = torch.arange(0, classes, math.ceil(classes / _CLASSES))
    return rows.repeat_interleave(COLUMNS)


def chains_shown(buffer: ReplayBuffer) -> Tensor:
    """Return a few chains as they are, sorted by class, always of the same slots.

    Args:
        buffer: the chains.

    Returns:
        Images (B, C, H, W) in [0, 1]; a class with fewer slots than a row is long repeats them.
    """
    labels = labels_shown(buffer.classes)
    column = torch.arange(len(labels)) % COLUMNS % buffer.slots_per_class
    slots = labels * buffer.slots_per_class + column
    return buffer.images[slots.to(buffer.images.device)].clamp(0.0, 1.0).cpu()


class Gallery:
    """Keep pictures of a run, ``NNNNNN.png`` by its step, and never many.

    When there are more than 64, the one nearest to its neighbours goes, so that what stays is
    spread evenly from the first to the newest.

    Args:
        folder: of the pictures; made when there is one.
        viewers: hear of each picture: its step, and images (B, C, H, W) in [0, 1].
    """

    def __init__(self, folder: Path, *viewers: Callable[[int, Tensor], object]) -> None:
        self.folder = folder
        self.viewers = viewers

    def hang(self, step: int, x: Tensor) -> None:
        """Keep a picture.

        Args:
            step: of the run.
            x: images (B, C, H, W) in [0, 1], one class a row.
        """
        self.folder.mkdir(exist_ok=True)  # in a run that is there, and not in one that vanished
        write_grid(self.folder / f"{step:06d}.png", x, columns=COLUMNS)
        for view in self.viewers:
            view(step, x)
        if not self.folder.is_symlink():  # a link may lead out of the run
            self._thin()

    def _thin(self) -> None:
        pictures = self.pictures()
        while len(pictures) > _KEPT:
            steps = [int(picture.stem) for picture in pictures]
            gaps = [after - before for before, after in zip(steps, steps[2:], strict=False)]
            pictures.pop(1 + gaps.index(min(gaps))).unlink()

    def pictures(self) -> list[Path]:
        """Return what is kept, oldest first; other files in the folder are not ours."""
        found = self.folder.glob("[0-9]*.png")
        return sorted((p for p in found if p.stem.isdecimal()), key=lambda p: int(p.stem))
