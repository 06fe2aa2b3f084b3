"""An evaluation as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

__all__ = ["classification_table", "generation_table", "gradients_table"]


def classification_table(result: Mapping[str, Any]) -> Table:
    """Lay out what a run is as a classifier.

    Args:
        result: of :func:`jemstone.experiments.evaluate`.
    """
    table = Table(title=f"{result['n']} held-out images of {result['data']}", title_justify="left")
    table.add_column("classifier")
    table.add_column("", justify="right")
    table.add_row("accuracy", f"{result['accuracy']:.1%}")
    for robust in result["robust_accuracy"]:
        threat = f"{robust['attack']}, {robust['norm']} {robust['eps']:g}"
        table.add_row(f"robust accuracy ({threat})", f"{robust['value']:.1%}")
    back = sum("to" in event for event in result.get("events", ()))
    if back:
        table.add_row("went back in training", f"{back} times" if back > 1 else "once")
    table.add_row("calibration error (ECE)", f"{result['calibration']['ece']:.3f}")
    return table


def generation_table(result: Mapping[str, Any]) -> Table:
    """Lay out what a run is as a generator, one sampler a row.

    Args:
        result: of :func:`jemstone.experiments.evaluate`.
    """
    judge = result["judge"]
    title = f"{result['generation'][0]['n']} samples each, judged by {judge['name']}"
    if judge["accuracy"] is not None:
        title = f"{title} ({judge['accuracy']:.1%} accurate)"
    table = Table(title=title, title_justify="left")
    table.add_column("sampler")
    for heading in ("IS", "FID", "recall", "agreement", "nearest / held-out", "spread"):
        table.add_column(heading, justify="right")
    for row in result["generation"]:
        near = row["nearest_neighbour"]
        table.add_row(
            f"{row['sampler']} ({row['origin']})",
            f"{row['is']:.2f}",
            f"{row['fid']:.3f}",
            f"{row['recall']:.2f}",
            "-" if row["agreement"] is None else f"{row['agreement']:.1%}",
            # Where held-out images are copies of training images there is no yardstick.
            f"{near['pixel'] / near['pixel_held_out']:.2f}" if near["pixel_held_out"] else "-",
            f"{row['spread']['pixel']:.2f}",
        )
    return table


def gradients_table(result: Mapping[str, Any]) -> Table:
    """Lay out how far the gradients of runs line up, one run a row, each with its standard error.

    Args:
        result: of :func:`jemstone.experiments.compare_gradients`.
    """
    title = f"input gradients on {result['n']} held-out images of {result['data']}"
    table = Table(title=f"{title}, mean ± standard error", title_justify="left")
    table.add_column("run")
    table.add_column("accuracy", justify="right")
    for name in result["measures"]:
        table.add_column(name.replace("_", " "), justify="right")
    for run in result["runs"]:
        numbers = (run[name] for name in result["measures"])
        cells = (f"{number['mean']:.3f} ± {number['se']:.3f}" for number in numbers)
        table.add_row(run["label"], f"{run['accuracy']:.1%}", *cells)
    return table
