"""The paper's figures as files: grids of samples, and the walk that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.experiments.reproduction.frames import frames_shown
from jemstone.files import write_whole
from jemstone.report.figure import draw_panels
from jemstone.report.reproduction.trajectory import names_of

__all__ = ["CLASSES", "FIGURES", "draw_samples", "draw_trajectory", "in_rows"]

FIGURES = {
    "figure1": ("robust-classifier/attack", "single robust classifier, targeted attack"),
    "figure2": ("jempp/energy", "JEM++, energy walk"),
    "figure3": ("robust-jem/combined", "Robust JEM, combined inference"),
}
"""The paper's figures: the network/sampler that each is of, and what people call it."""
CLASSES = 10
_COLUMNS = 10
_FRAMES = 12


def draw_samples(
    path: Path, images: Tensor, labels: Tensor, classes: Sequence[str], title: str
) -> None:
    """Draw the first samples of each class, one class a row.

    Args:
        path: of the PNG.
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        classes: names of the K classes; of those that have samples, ten are drawn.
        title: above all.
    """
    x, found = in_rows(images, labels, _COLUMNS)
    names = tuple(str(classes[k]) for k in found)
    size = (0.5 * len(x) / len(found), 0.5 * len(found) + 0.4)
    draw_panels(path, {"": x.float() / 255.0}, names, title, inches=size)


def in_rows(images: Tensor, labels: Tensor, columns: int) -> tuple[Tensor, list[int]]:
    """Choose the first images of each class, equally many, class by class; at most ten classes.

    Args:
        images: (N, C, H, W), N at least 1.
        labels: int64 (N,).
        columns: images of a class, at most.

    Returns:
        The images, and the labels that they have.
    """
    found, counts = labels.unique(return_counts=True)
    classes = found[:CLASSES].tolist()
    columns = min(columns, int(counts[:CLASSES].min()))
    return torch.cat([images[labels == k][:columns] for k in classes]), classes


def draw_trajectory(path: Path, trajectory: Mapping[str, Any]) -> None:
    """Draw images along the combined walk, one class a row, with E(x, y) and p(y|x) under each.

    Args:
        path: of the PNG.
        trajectory: see :func:`jemstone.report.reproduction.trajectory.trajectory_view`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    images = torch.as_tensor(trajectory["images"])[:, :CLASSES]
    energy, probability = (torch.as_tensor(trajectory[k]) for k in ("energy", "probability"))
    shown = frames_shown(trajectory["stages"], _FRAMES, trajectory.get("steps"))
    names = names_of(trajectory)
    rows = images.shape[1]
    high = images.shape[-2] / images.shape[-1]  # an image is one wide
    below = 0.42  # what the two lines under an image take
    step_x, step_y = 1.12, high + below
    figure = Figure(figsize=(0.75 * len(shown) * step_x + 0.8, 0.75 * rows * step_y + 0.5))
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.8 / figure.get_figwidth(), 0.0, 1 - 0.8 / figure.get_figwidth(), 1.0))
    for row in range(rows):
        for column, t in enumerate(shown):
            x, y = column * step_x, row * step_y
            image = images[t, row]
            image = image.permute(1, 2, 0) if len(image) == 3 else image[0]
            axis.imshow(
                image.numpy(),
                cmap="gray",
                vmin=0,
                vmax=255,
                interpolation="nearest",
                extent=(x, x + 1, y + high, y),
            )
            told = f"{float(energy[t, row]):.2f}\n{float(probability[t, row]):.2f}"
            axis.text(x + 0.5, y + high + 0.03, told, ha="center", va="top", fontsize=6.5)
        label = str(trajectory["class_names"][int(trajectory["labels"][row])])
        middle = row * step_y + high / 2
        axis.text(-0.1, middle, label, ha="right", va="center", fontsize=8, parse_math=False)
        axis.text(
            -0.1, row * step_y + high + 0.03, "E(x, y)\np(y|x)", ha="right", va="top", fontsize=6
        )
    for column, t in enumerate(shown):
        axis.text(column * step_x + 0.5, -0.12, names[t], ha="center", va="bottom", fontsize=8)
    axis.set(xlim=(-0.02, len(shown) * step_x), ylim=(rows * step_y, -0.5), aspect="equal")
    axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda beside: figure.savefig(beside, dpi=200))
