"""The part of a suite that judges a run as a generator."""

from __future__ import annotations

import base64
import io
import time
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images, to_bytes
from jemstone.experiments.case import Case
from jemstone.experiments.drawing import balanced_labels, draw, refuse_exploded
from jemstone.experiments.shown import shown_classes
from jemstone.experiments.sight import FEWEST
from jemstone.metrics import Seen, compare, look, scrutinise, suspicions
from jemstone.training import grid

__all__ = ["judge_generation", "picture"]

_SAMPLERS = ("combined", "energy", "attack")
_ROWS = 8  # of a picture; its columns are classes


def picture(images: Tensor, labels: Tensor, classes: int) -> str:
    """Draw the first images of each class as a PNG, in base64: one class a column.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        classes: K; at most 20 are drawn.
    """
    from torchvision.utils import save_image

    columns = min(classes, 20)
    blank = torch.zeros_like(images[:1])
    by_class = [
        torch.cat([images[labels == k][:_ROWS], *[blank] * _ROWS])[:_ROWS] for k in range(columns)
    ]
    x = torch.stack(by_class, dim=1).flatten(0, 1).float() / 255.0
    file = io.BytesIO()
    save_image(grid(x, columns), file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def judge_generation(case: Case) -> dict[str, Any]:
    """Judge each sampler from scratch, beside its own init, and the buffer's chains.

    Returns:
        ``judge``, ``reference``, ``generation`` (rows), and ``pictures``, which no JSON keeps.

    Raises:
        Exploded: where a pixel of a sample is not finite.
    """
    if case.run is None:
        return {"generation": []}
    eyes, rows, pictures = case.eyes, [], {}
    y = balanced_labels(case.settings.count, case.run.classes)
    begun = _init(case, y) if case.settings.suite == "full" else None
    for name in ("init", *_SAMPLERS):
        case.progress(f"{case.settings.count} samples by {name}")
        began = time.perf_counter()
        # One stream for all: each sampler starts from the same draws of the init.
        images = Images(to_bytes(_draw(case, name, y, "samples")), y)
        seconds = (time.perf_counter() - began) / len(images)
        rows.append({**_row(case, name, images, "scratch", begun), "seconds_per_image": seconds})
        pictures[name] = picture(images.pixels, y, case.run.classes)
    chains = case.run.chains()
    if chains is not None and len(chains) < FEWEST:
        case.progress(f"the replay buffer's {len(chains)} chains are too few for figures: left out")
    elif chains is not None:
        case.progress("the replay buffer's chains")
        pixels = to_bytes(refuse_exploded(chains[: case.settings.count]))
        images = Images(pixels, shown_classes(case.model, pixels))
        rows.append({**_row(case, "chains", images, "buffer", begun), "seconds_per_image": None})
        pictures["chains"] = picture(pixels, images.labels, case.run.classes)
    reference = {
        "data": case.data.name,
        "split": "test",
        "n": len(case.data.test),
        "is": eyes.best_score,
    }
    return {
        "judge": eyes.told,
        "reference": reference,
        "generation": rows,
        "pictures": pictures,
    }


def _draw(case: Case, sampler: str, y: Tensor, stream: str) -> Tensor:
    assert case.run is not None
    return draw(
        case.model,
        case.run.sampler(sampler),
        y,
        case.generator.fold(stream),
        device=case.device,
        processes=case.processes,
    )


def _init(case: Case, y: Tensor) -> Seen:
    """Look at draws of the init that no sampler begins with."""
    return look(Images(to_bytes(_draw(case, "init", y, "inits")), y), case.eyes.judge)


def _row(
    case: Case, sampler: str, images: Images, origin: str, begun: Seen | None
) -> dict[str, Any]:
    """Return every figure of some samples; what takes longer where the suite is full."""
    eyes = case.eyes
    seen = look(images, eyes.judge)
    figures = compare(seen, eyes.reference, eyes.learnt, eyes.yardstick)
    row = {"sampler": sampler, "origin": origin, **figures}
    if begun is not None:
        row |= scrutinise(seen, eyes.reference, eyes.learnt, case.generator.fold("scrutiny"))
        row["flags"] = suspicions(seen, eyes.reference, eyes.learnt, begun)
    return row
