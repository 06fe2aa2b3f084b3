"""The combined walk, image by image: which frames are shown, and how a page scrubs through them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from jemstone.experiments.reproduction.frames import frames_shown, stages_of, steps_of
from jemstone.report.figure import png_address

__all__ = ["names_of", "trajectory_view"]

_MOST_BYTES = 1_500_000  # of pixels, all classes together
_STRIP = 9  # frames
# Okabe & Ito's, which the colour-blind tell apart, and four more
_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"),
    *("#56b4e9", "#8c564b", "#7f7f7f", "#9467bd", "#bcbd22"),
)


def names_of(trajectory: Mapping[str, Any]) -> list[str]:
    """Name each frame by its stage and, where a stage has many, by its step in it.

    ``steps`` of the trajectory, where it has them, are the numbers of steps; otherwise no frame
    is missing, and they are counted.

    Args:
        trajectory: see :func:`trajectory_view`.
    """
    stages = trajectory["stages"]
    steps = trajectory.get("steps") or steps_of(stages)
    return [
        stage if start == end and steps[t] == 1 else f"{stage} {steps[t]}"
        for stage, start, end in stages_of(stages)
        for t in range(start, end + 1)
    ]


def trajectory_view(trajectory: Mapping[str, Any]) -> dict[str, Any]:
    """Prepare a trajectory for a page: a strip of sprites and lines for each class.

    Where all frames would weigh too much, some are left out, most of them late in their stages.

    Args:
        trajectory: ``labels`` (B,), ``stages`` of the T frames, ``images`` uint8 (T, B, C, H, W),
            ``energy`` E(x, y) and ``probability`` p(y|x), both (T, B), and ``class_names``. Where
            frames were left out, ``steps`` of those that are there and ``frames``, of the whole.
    """
    images = torch.as_tensor(trajectory["images"])
    most = max(12, _MOST_BYTES // max(1, images[0].numel()))
    steps = trajectory.get("steps") or steps_of(trajectory["stages"])
    shown = frames_shown(trajectory["stages"], most, steps)
    energy = torch.as_tensor(trajectory["energy"]).double()[shown]
    probability = torch.as_tensor(trajectory["probability"]).double()[shown]
    finite = energy[energy.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    names = names_of(trajectory)
    stages = [trajectory["stages"][t] for t in shown]
    return {
        "classes": [
            {
                "name": str(trajectory["class_names"][int(label)]),
                "colour": _COLOURS[b % len(_COLOURS)],
                "sprite": png_address(_side_by_side(images[shown, b])),
                "energy": _plain(energy[:, b]),
                "probability": _plain(probability[:, b]),
                "energy_line": _line(energy[:, b], low, high),
                "probability_line": _line(probability[:, b], 0.0, 1.0),
            }
            for b, label in enumerate(trajectory["labels"])
        ],
        "names": [names[t] for t in shown],
        "stages": [
            {
                "name": stage,
                "left": f"{_place(start - 0.5, len(shown)):.2f}",
                "width": f"{_place(end + 0.5, len(shown)) - _place(start - 0.5, len(shown)):.2f}",
                "wide": end - start >= len(shown) / 10,
            }
            for stage, start, end in stages_of(stages)
        ],
        "strip": [
            {"frame": t, "left": f"{100 * t / max(1, len(shown) - 1):.4f}"}
            for t in frames_shown(stages, _STRIP, [steps[t] for t in shown])
        ],
        "last": len(shown) - 1,
        "left_out": (trajectory.get("frames") or len(names)) - len(shown),
        "range": (low, high),
        "aspect": f"{images.shape[-1]} / {images.shape[-2]}",
    }


def _place(t: float, count: int) -> float:
    """Return where a frame stands, in per cent of the width."""
    return 100.0 * min(1.0, max(0.0, t / max(1, count - 1)))


def _plain(values: Tensor) -> list[float | None]:
    return [round(v, 4) if math.isfinite(v) else None for v in values.tolist()]


def _line(values: Tensor, low: float, high: float) -> str:
    """Write a line as the path of an SVG of 100 by 100, broken where a value is not finite."""
    path, pen = [], "M"
    for t, value in enumerate(values.tolist()):
        if not math.isfinite(value):
            pen = "M"
            continue
        y = 97.0 - 94.0 * (value - low) / ((high - low) or 1.0)
        path.append(f"{pen}{_place(t, len(values)):.2f} {y:.1f}")
        pen = "L"
    return "".join(path)


def _side_by_side(images: Tensor) -> Tensor:
    """Set images (T, C, H, W) in a row, (H, T * W, C), without a gap."""
    return images.permute(2, 0, 3, 1).flatten(1, 2)
