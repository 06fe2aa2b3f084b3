"""Densities on the unit square, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jemstone.experiments import Landscape
from jemstone.files import write_whole

__all__ = ["draw_landscapes"]

_DEPTH = 8.0  # nats below the highest density that are told apart
_DOTS = 400
_COLOURS = ("#ffffff", "#52d1ff", "#7dff8a", "#ffb3e6")


def draw_landscapes(path: Path, rows: Sequence[Sequence[Landscape]]) -> None:
    """Draw heat maps of log p(x) with points on them, and the borders of the classes.

    Args:
        path: of the PNG.
        rows: landscapes side by side; those of a row share their colours.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(2.9 * columns + 0.7, 3.1 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        known = [panel.log_density for panel in row if panel.log_density is not None]
        highest = max((float(log_density.max()) for log_density in known), default=0.0)
        image = None
        for axis, panel in zip(axes, row, strict=False):
            image = _draw(axis, panel, highest) or image
        for axis in axes[len(row) :]:
            axis.set_axis_off()
        if image is not None:
            figure.colorbar(image, ax=list(axes), label="log p(x)", shrink=0.8)
    write_whole(path, lambda beside: figure.savefig(beside, dpi=150))


def _draw(axis: Any, panel: Landscape, highest: float) -> Any:
    """Draw one panel; return its heat map, if it has one."""
    image = None
    extent = (0.0, 1.0, 0.0, 1.0)
    if panel.log_density is not None:
        image = axis.imshow(
            panel.log_density.T.numpy(),
            origin="lower",
            extent=extent,
            cmap="magma",
            vmin=highest - _DEPTH,
            vmax=highest,
        )
    if panel.predicted is not None:
        levels = [k + 0.5 for k in range(int(panel.predicted.max()))]
        axis.contour(
            panel.predicted.T.numpy(),
            levels=levels,
            origin="lower",
            extent=extent,
            colors="#9aa7b5",
            linewidths=0.9,
        )
    points, labels = panel.points[:_DOTS], panel.labels[:_DOTS]
    colours = [_COLOURS[int(label) % len(_COLOURS)] for label in labels]
    axis.scatter(points[:, 0], points[:, 1], s=3.0, c=colours, linewidths=0.3, edgecolors="#000000")
    axis.set_title(panel.title, fontsize=9, parse_math=False)
    axis.set_xlabel(_told(panel.figures), fontsize=7)
    axis.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
    return image


def _told(figures: dict[str, Any]) -> str:
    """Write the figures that tell most, one line below the panel."""
    told = []
    if figures.get("kl_data_model") is not None:
        told.append(f"KL(data || p) {figures['kl_data_model']:.3f}")
    if "samplers" in figures:
        row = next(r for r in figures["samplers"] if r["sampler"] == figures["shown"])
        told.append(f"KL(samples || p) {row['kl']:.3f} (exact draws {row['kl_exact']:.3f})")
    if figures.get("accuracy") is not None:
        accuracy = f"accuracy {figures['accuracy']:.1%}"
        for robust in figures.get("robust_accuracy", ())[-1:]:
            accuracy += f", {robust['value']:.1%} at {robust['norm']} {robust['eps']:g}"
        told.append(accuracy)
    return "\n".join(told)
