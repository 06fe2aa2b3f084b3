"""The part of a suite that judges a run as a generator."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images, firsts, to_bytes
from jemstone.experiments.case import Case
from jemstone.experiments.drawing import Exploded, balanced_labels, draw, refuse_exploded
from jemstone.experiments.runs import Run
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
    blanks = torch.zeros_like(images[:1]).expand(_ROWS, -1, -1, -1)
    shown = firsts(labels, columns, _ROWS)
    by_class = [torch.cat([images[places], blanks])[:_ROWS] for places in shown]
    x = torch.stack(by_class, dim=1).flatten(0, 1).float() / 255.0
    file = io.BytesIO()
    save_image(grid(x, columns), file, format="png")
    return base64.b64encode(file.getvalue()).decode()


def judge_generation(case: Case) -> dict[str, Any]:
    """Judge each sampler from scratch, beside its own init, and the buffer's chains.

    Returns:
        ``judge``, ``reference``, ``generation`` (rows), ``generation_failed`` (why samplers have
        none, by name: a pixel of a sample was not finite), and ``pictures``, which no JSON keeps.

    Raises:
        Exploded: where a draw of the init has such a pixel.
    """
    if case.run is None:
        return {"generation": [], "generation_failed": {}}
    eyes, rows, pictures, failed = case.eyes, [], {}, {}
    y = balanced_labels(case.settings.count, case.run.classes)
    begun = _init(case, y) if case.settings.suite == "full" else None
    for name, origin, drawn in _origins(case, case.run, y):
        began = time.perf_counter()
        try:
            images = drawn()
        except Exploded as exploded:
            if name == "init":  # with which all begin: the run itself is broken
                raise
            failed[name] = str(exploded)
            case.progress(f"failed: {exploded}")
            continue
        seconds = (time.perf_counter() - began) / len(images) if origin == "scratch" else None
        rows.append({**_row(case, name, images, origin, begun), "seconds_per_image": seconds})
        pictures[name] = picture(images.pixels, images.labels, case.run.classes)
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
        "generation_failed": failed,
        "pictures": pictures,
    }


def _origins(case: Case, run: Run, y: Tensor) -> Iterator[tuple[str, str, Callable[[], Images]]]:
    """Yield whose images are judged, where they come from, and how to get them."""
    for name in ("init", *_SAMPLERS):
        case.progress(f"{len(y)} samples by {name}")
        # One stream for all: each sampler starts from the same draws of the init.
        yield name, "scratch", partial(_drawn, case, name, y)
    chains = run.chains()
    if chains is not None and len(chains) < FEWEST:
        case.progress(f"the replay buffer's {len(chains)} chains are too few for figures: left out")
    elif chains is not None:
        case.progress("the replay buffer's chains")
        yield "chains", "buffer", partial(_kept, case, chains[: len(y)])


def _drawn(case: Case, sampler: str, y: Tensor) -> Images:
    return Images(to_bytes(_draw(case, sampler, y, "samples")), y)


def _kept(case: Case, chains: Tensor) -> Images:
    pixels = to_bytes(refuse_exploded(chains))
    return Images(pixels, shown_classes(case.model, pixels))


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
