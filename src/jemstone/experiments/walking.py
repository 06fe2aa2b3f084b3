"""The part of a suite that follows a run's walks, ten times longer than they were made for."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Images, to_bytes
from jemstone.experiments.case import Case
from jemstone.experiments.drawing import balanced_labels
from jemstone.experiments.samples import picture
from jemstone.functional.box import at_bounds
from jemstone.functional.energies import energy, marginal
from jemstone.metrics import (
    FrechetReference,
    Moment,
    agreement,
    effective_temperature,
    follow,
    inception_score,
    look,
    walk_figures,
)
from jemstone.metrics.walks import last_walk
from jemstone.samplers import SGLD, Sampler

__all__ = ["judge_walks", "moments"]

_SAMPLERS = ("combined", "energy")
_LONGER = 10
_MOST = 250  # chains
_BATCH = 125  # so that many processes have their part
_HOLDS, _SATURATES = 1.5, 0.3


def moments(steps: int) -> list[int]:
    """Choose the steps to look at: start, quarters, end, and on to ten times that.

    >>> moments(8)
    [0, 2, 4, 6, 8, 12, 16, 24, 40, 80]
    """
    factors = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
    return sorted({round(factor * steps) for factor in factors})


def judge_walks(case: Case) -> dict[str, Any]:
    """Follow the walks of each sampler to ten times their length.

    Returns:
        ``walks``: for each sampler its ``walk`` (steps, step size, noise, clip, temperature), the
        ``rows`` of :func:`jemstone.metrics.walk_figures` with ``fid``, ``is`` and ``agreement`` of
        the images at that step, None from where a pixel is not finite; and what comes ``after``:
        the ratio of the last FID to that at the walk's own end, the share of pixels that left
        (0, 1) since, and a verdict, the first two None for walks that explode. ``data`` has the
        held-out images' mean energy and share of pixels at the bounds. ``pictures`` has the images
        at the last step, by title, of each sampler whose walk did not explode.
    """
    if case.run is None:
        return {"walks": []}
    found, pictures = [], {}
    root = FrechetReference(case.eyes.reference.features)
    for name in _SAMPLERS:
        sampler = case.run.sampler(name)
        _, walk = last_walk(sampler)
        steps = moments(walk.steps)
        case.progress(f"the walk of {name}, {steps[-1]} steps instead of {walk.steps}")
        y = balanced_labels(min(case.settings.count, _MOST), case.run.classes)
        found_at = _followed(case, sampler, y, steps)
        shown = [_pixels(moment.x) for moment in found_at]
        rows = walk_figures([found_at])
        for row, pixels in zip(rows, shown, strict=True):
            row |= _judged(case, root, pixels, y)
        if shown[-1] is not None:
            title = f"{name}, {_LONGER} times longer"
            pictures[title] = picture(shown[-1], y, case.run.classes)
        about = {
            "steps": walk.steps,
            "inner": getattr(walk, "inner", 1),
            "step_size": walk.step_size,
            "noise": walk.noise,
            "clip": walk.clip,
            "temperature": effective_temperature(walk),
        }
        row = {"sampler": name, "n": len(y), "walk": about, "rows": rows}
        found.append({**row, "data": _of_data(case, walk), "after": _after(rows, walk.steps)})
    return {"walks": found, "pictures": pictures}


def _followed(case: Case, sampler: Sampler, y: Tensor, steps: list[int]) -> list[Moment]:
    """Follow all chains, each batch in one process; return where they are at each step."""
    size = math.prod(case.data.shape)

    def walked(places: Tensor) -> Tensor:
        stream, labels = case.generator.fold("samples").at(places), y[places]
        with case.device.autocast():  # as samples are drawn
            moments = follow(case.model, sampler, labels.to(case.device.name), stream, steps)
        parts = [(m.x.flatten(1), m.energy, m.displacement, m.path) for m in moments]
        rows = [torch.cat([x, torch.stack(rest, dim=1)], dim=1) for x, *rest in parts]
        return torch.stack(rows, dim=1)

    rows = case.processes.deal(walked, len(y), _BATCH)
    return [
        Moment(step, rows[:, n, :size].reshape(len(y), *case.data.shape), *rows[:, n, size:].T)
        for n, step in enumerate(steps)
    ]


def _pixels(x: Tensor) -> Tensor | None:
    """Return images as bytes; None where a pixel is not finite: NaN would pass for black."""
    return to_bytes(x) if x.isfinite().all() else None


def _judged(
    case: Case, root: FrechetReference, pixels: Tensor | None, y: Tensor
) -> dict[str, float | None]:
    """Return what the judge makes of the images of a moment."""
    if pixels is None:
        return dict.fromkeys(("fid", "is", "agreement"))
    seen = look(Images(pixels, y), case.eyes.judge)
    return {
        "fid": root.distance(seen.features),
        "is": inception_score(seen.logits)[0],
        "agreement": agreement(seen.logits, y) if seen.knows_classes else None,
    }


def _of_data(case: Case, walk: SGLD) -> dict[str, float]:
    """Return the held-out images' mean energy and share of pixels at the bounds."""
    potential = energy if walk.potential is energy else marginal
    energies = []
    with torch.no_grad():
        for x, y in case.data.test.first(1000).batches(_BATCH):
            parts = (part.to(case.device.name) for part in (x, y))
            energies.append(potential(case.model, *parts).cpu())
    pixels = at_bounds(case.data.test.first(1000).x)
    return {"energy": float(torch.cat(energies).mean()), "at_bounds": pixels}


def _after(rows: list[dict[str, Any]], steps: int) -> dict[str, Any]:
    """Say what becomes of images when the walk goes on."""
    end = next(row for row in rows if row["step"] == steps)
    last = rows[-1]
    exploded = last["fid"] is None or end["fid"] is None
    ratio = last["fid"] / end["fid"] if not exploded and end["fid"] > 0 else None
    left = last["at_bounds"] - end["at_bounds"]
    if exploded:
        verdict = "explodes"
    elif left > _SATURATES * (1.0 - end["at_bounds"]):
        verdict = "saturates"
    elif ratio is None or ratio > _HOLDS:
        verdict = "decays"
    else:
        verdict = "holds"
    return {
        "steps": last["step"],
        "fid_ratio": ratio,
        "saturated_since": None if exploded else left,
        "verdict": verdict,
        "rule": "explodes: a pixel is not finite; "
        f"saturates: {_SATURATES:.0%} of the pixels that were inside (0, 1) no longer are; "
        f"decays: FID is over {_HOLDS:g} times that at the walk's own end; holds: neither",
    }
