"""A model of points, seen whole: its density by quadrature, and its samplers held to that."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jemstone.data import TOYS, DataSet, Images
from jemstone.errors import Mistake
from jemstone.experiments.drawing import balanced_labels, draw
from jemstone.experiments.runs import Run
from jemstone.functional.energies import marginal_energy
from jemstone.functional.grid import (
    centres,
    draw_points,
    histogram,
    kl_divergence,
    log_masses,
    log_partition,
    pooled,
    total_variation,
)
from jemstone.metrics import agreement, predictions, robust_accuracy
from jemstone.model import JointEnergyModel
from jemstone.recipes import SAMPLERS
from jemstone.training import Device
from jemstone.types import Generator

__all__ = ["Landscape", "data_landscape", "landscape"]

_POINT = (2, 1, 1)
_CELLS = 256  # of the quadrature
_COARSE = 128  # to tell the quadrature's error by
_BINS = 32  # of histograms of samples
_PGD_STEPS, _RESTARTS = 20, 2
_MARGINAL = "p(x)"
_BALANCED = "p(x|y), every class as often"


@dataclass(frozen=True)
class Landscape:
    """A density on the unit square, points drawn from it, and figures.

    Args:
        title: what it is of.
        log_density: log p(x) at the centres of the cells, (n, n); None where it is not known.
        predicted: the class at each of them, int64 (n, n); None where nothing classifies.
        points: (N, 2).
        labels: their classes, int64 (N,).
        figures: ready for JSON.
    """

    title: str
    log_density: Tensor | None
    predicted: Tensor | None
    points: Tensor
    labels: Tensor
    figures: dict[str, Any]


def data_landscape(data: DataSet) -> Landscape:
    """Return what there is to learn: a toy's own density, and the classifier that it implies.

    Args:
        data: of points. Where its density is not known, its held-out points are all there is.

    Returns:
        The landscape, whose figures are the best that any model can have: ``nll``, the mean
        -log p(x) of held-out points in nats, and ``accuracy``, Bayes'.

    Raises:
        Mistake: for other data than points.
    """
    _check_points(data.name, data.shape)
    points, labels = data.test.x.flatten(1), data.test.y
    figures: dict[str, Any] = {"data": data.name, "n": len(labels), "nll": None, "accuracy": None}
    if not _is_known(data):
        return Landscape(data.name, None, None, points, labels, figures)
    held_out = _log_joint(data.name, points)
    figures["nll"] = -float(held_out.logsumexp(dim=1).mean())
    figures["accuracy"] = agreement(held_out, labels)
    log_joint = _toy(data.name)
    log_density = log_joint.logsumexp(dim=1).reshape(_CELLS, _CELLS)
    predicted = log_joint.argmax(dim=1).reshape(_CELLS, _CELLS)
    return Landscape(data.name, log_density, predicted, points, labels, figures)


def landscape(
    run: Run,
    data: DataSet,
    *,
    sampler: str = "unconditional",
    count: int = 4000,
    seed: int = 0,
    device: Device | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Landscape:
    r"""Integrate :math:`p(x) = \exp(-E(x)) / Z` over the unit square, and judge all by it.

    Args:
        run: whose newest checkpoint is looked at.
        data: the run's.
        sampler: whose points the landscape shows; all are judged.
        count: points of each sampler.
        seed: of attacks and samples.
        device: where to run; by default where the run was trained, in float32.
        progress: hears what is done next.

    Returns:
        The landscape, with the figures

        - ``temperature`` of the training walk, null where the recipe gives a noise instead;
        - ``log_z``: the log-partition by the midpoint rule, ``log_z_error``: what Richardson's
          rule makes of the difference to a grid half as fine;
        - ``nll``: mean -log p(x) of held-out points, in nats;
        - ``kl_data_model``, ``kl_model_data``, ``total_variation``: between the data's density
          and the model's, where the former is known;
        - ``accuracy``, ``robust_accuracy``: as ``evaluate`` has them;
        - ``samplers``: for each, ``kl``, the divergence of its histogram from its ``target`` on
          ``cells`` cells along each side, and ``total_variation``; beside them ``kl_exact`` and
          ``total_variation_exact``, those of as many exact draws: nothing can be told from less.

    Raises:
        Mistake: for a run on other data than points, an unknown sampler, or no samples.
    """
    _check_points(str(run.path), run.gaussian.shape)
    run.sampler(sampler)  # a name that is none is told before anything is done
    if count < 1:
        raise Mistake(f"samples are 1 or more, not {count}")
    device = device or Device(run.device.name)
    model = run.model().to(device.name)
    generator = Generator(seed)
    progress(f"{run.path}: density, {device}")
    log_joint = _logits(model, centres(_CELLS).flatten(0, 1))
    log_density, figures = _integrated(model, data, log_joint)
    progress(f"{run.path}: robust accuracy")
    robust = robust_accuracy(
        model,
        data.test,
        run.recipe.attack.norm,
        [run.recipe.attack.eps / 2, run.recipe.attack.eps],
        generator=generator.fold("attack"),
        steps=_PGD_STEPS,
        restarts=_RESTARTS,
    )
    targets = {_MARGINAL: log_masses(log_density), _BALANCED: _balanced(log_joint)}
    y = balanced_labels(count, run.classes)
    rows, drawn = [], {}
    for name in ("init", *SAMPLERS):
        progress(f"{run.path}: {count} samples by {name}")
        stream = generator.fold("samples")
        x = draw(model, run.sampler(name), y, stream, batch_size=count, device=device)
        drawn[name] = x.flatten(1)
        target = _MARGINAL if name == "unconditional" else _BALANCED
        held = _held_to(targets[target], drawn[name], generator)
        rows.append({"sampler": name, "target": target, **held})
    shown = drawn[sampler]
    return Landscape(
        title=_title(run),
        log_density=log_density,
        predicted=log_joint.argmax(dim=1).reshape(_CELLS, _CELLS),
        points=shown,
        labels=_logits(model, shown).argmax(dim=1),
        figures={
            "run": str(run.path),
            "recipe": run.recipe.name,
            "budget": run.recipe.budget,
            "seed": run.seed,
            "step": run.steps_done,
            "temperature": run.recipe.walk.temperature,
            "data": data.name,
            "n": len(data.test),
            **figures,
            "robust_accuracy": robust,
            "samplers": rows,
            "shown": sampler,
        },
    )


def _title(run: Run) -> str:
    """Name the recipe, and the folder where that says more."""
    recipe, folder = run.recipe.name, run.path.name
    return folder if recipe in folder else f"{recipe} ({folder})"


def _check_points(what: str, shape: tuple[int, int, int]) -> None:
    if shape != _POINT:
        raise Mistake(
            f"{what} is of {shape} images, and a landscape is of {_POINT}: train on "
            f"{' or '.join(TOYS)}"
        )


def _integrated(
    model: JointEnergyModel, data: DataSet, log_joint: Tensor
) -> tuple[Tensor, dict[str, Any]]:
    """Return log p(x) at the centres of the cells (n, n), and what it makes of the data."""
    energy = marginal_energy(log_joint).reshape(_CELLS, _CELLS)
    log_z = log_partition(energy)
    coarse = log_partition(marginal_energy(_logits(model, centres(_COARSE).flatten(0, 1))))
    held_out = predictions(model, data.test)
    log_density = -energy - log_z
    figures: dict[str, Any] = {
        "cells": _CELLS,
        "log_z": log_z,
        "log_z_error": abs(log_z - coarse) / 3,
        "nll": float(marginal_energy(held_out.double()).mean()) + log_z,
        "kl_data_model": None,
        "kl_model_data": None,
        "total_variation": None,
        "accuracy": agreement(held_out, data.test.labels),
    }
    if _is_known(data):
        truth = log_masses(_toy(data.name).logsumexp(dim=1).reshape(_CELLS, _CELLS))
        masses = log_masses(log_density)
        figures["kl_data_model"] = kl_divergence(truth, masses)
        figures["kl_model_data"] = kl_divergence(masses, truth)
        figures["total_variation"] = total_variation(truth, masses)
    return log_density, figures


def _is_known(data: DataSet) -> bool:
    """Tell whether the data's density is; a file called after a toy rests as bytes."""
    return data.name in TOYS and data.train.pixels.is_floating_point()


@functools.cache
def _toy(name: str) -> Tensor:
    """Return log p(x, y) of a toy at the centres of the cells, float64 (n n, K)."""
    return _log_joint(name, centres(_CELLS).flatten(0, 1))


def _log_joint(name: str, points: Tensor) -> Tensor:
    log_density = TOYS[name].log_density(points)
    return log_density - math.log(log_density.shape[1])


def _logits(model: JointEnergyModel, points: Tensor) -> Tensor:
    """Return the logits at points (N, 2), float64 (N, K)."""
    images = Images(points.float()[:, :, None, None], torch.zeros(len(points), dtype=torch.int64))
    return predictions(model, images, batch_size=8192).double()


def _balanced(log_joint: Tensor) -> Tensor:
    r"""Return the log-masses of :math:`\frac1K \sum_y p(x | y)`, (n, n)."""
    given_class = log_joint.log_softmax(dim=0)
    return log_masses(given_class.logsumexp(dim=1).reshape(_CELLS, _CELLS))


def _held_to(target: Tensor, x: Tensor, generator: Generator) -> dict[str, Any]:
    """Compare the histogram of points (N, 2), and of exact draws, with the target (n, n)."""
    exact = draw_points(target, generator.fold("exact").uniform((len(x), 3)))
    masses = pooled(target, _BINS)
    mine, theirs = histogram(x, _BINS), histogram(exact, _BINS)
    return {
        "n": len(x),
        "cells": _BINS,
        "kl": kl_divergence(mine, masses),
        "kl_exact": kl_divergence(theirs, masses),
        "total_variation": total_variation(mine, masses),
        "total_variation_exact": total_variation(theirs, masses),
    }
