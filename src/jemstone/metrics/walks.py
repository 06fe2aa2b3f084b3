"""How a walk goes: its energy, how far it gets, and whether images saturate when it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.box import at_bounds
from jemstone.model import still
from jemstone.nn.modes import held
from jemstone.samplers import SGLD, Sampler, Walk
from jemstone.types import EnergyModel, Generator, Init, Stage

__all__ = ["Moment", "effective_temperature", "follow", "last_walk", "walk_figures"]


@dataclass(frozen=True)
class Moment:
    """Where a batch of chains is after so many steps.

    Args:
        step: passes through the network since the walk began.
        x: images (B, C, H, W).
        energy: of the walk's potential, (B,).
        displacement: root mean square over pixels of the way from the start, (B,).
        path: the same of all steps' lengths together, (B,).
    """

    step: int
    x: Tensor
    energy: Tensor
    displacement: Tensor
    path: Tensor


def effective_temperature(walk: SGLD) -> float:
    r"""Compute :math:`T = \sigma^2 / 2 \alpha`, the temperature that a walk's noise is of.

    :math:`\alpha` is the step of a whole pass: the inner step times their number. 1 samples
    :math:`\exp(-E)`; 0, a walk without noise, descends to a minimum. A clip breaks the relation.

    References:
        Welling & Teh, 2011

    Args:
        walk: the walk.

    Raises:
        Mistake: for a step that is not above 0: such a walk does not descend.
    """
    if not walk.step_size > 0:
        raise Mistake(f"a walk of step {walk.step_size:g} has no temperature: give it a step")
    return walk.noise**2 / (2.0 * walk.step_size * getattr(walk, "inner", 1))


def last_walk(sampler: Sampler) -> tuple[int, SGLD]:
    """Return a sampler's last walk on an energy, behind its place among the stages.

    Raises:
        Mistake: where it has none.
    """
    stages = enumerate(sampler.stages.stages)
    walks = [(place, stage) for place, stage in stages if isinstance(stage, SGLD)]
    if not walks:
        raise Mistake("the sampler does not walk on an energy: choose one that does")
    return walks[-1]


@torch.no_grad()
def follow(
    model: EnergyModel, sampler: Sampler, y: Tensor, generator: Generator, at: Sequence[int]
) -> list[Moment]:
    """Draw samples, and look at the last walk on an energy while it goes, and goes on.

    The walk takes as many steps as the last moment asks for, whatever the sampler's own number.
    Up to that number its images are those that the sampler draws by this generator.

    Args:
        model: the energy.
        sampler: from scratch.
        y: labels, int64 (B,).
        generator: the randomness.
        at: the steps to look at, from 0.

    Returns:
        One moment for each step asked for, its images moved by the stages that follow the walk.

    Raises:
        Mistake: for steps that do not grow, or a sampler that does not walk on an energy.
    """
    wanted = list(at)
    if wanted != sorted(set(wanted)) or not wanted or wanted[0] < 0:
        raise Mistake(f"the steps to look at grow, from 0 or more, unlike {wanted}")
    (place, own), stages = last_walk(sampler), sampler.stages.stages
    walk = own.lasting(wanted[-1])
    way = _walked(Sampler(sampler.init, *stages[:place], walk).trace(model, y, generator), walk)
    start = before = next(way)
    frozen, path = still(model, walk.mode, start), start.new_zeros(len(start))
    moments = []
    for t, x in enumerate(chain([start], way)):
        path, before = path + _length(x - before), x
        if t in wanted:
            shown = x
            for number, stage in enumerate(stages[place + 1 :], place + 1):
                shown = stage(model, shown, y, generator.fold("stages").fold(number))
            with held(model, walk.mode):
                energy = walk.potential(frozen, x, y)
            parts = (shown, energy, _length(x - start), path)
            moments.append(Moment(t, *(part.cpu() for part in parts)))
    return moments


def _walked(trace: Iterator[tuple[Init | Stage, Tensor]], walk: Walk) -> Iterator[Tensor]:
    """Yield where a sampler's last walk begins, and where it is after each step."""
    start: Tensor | None = None
    for stage, x in trace:
        if stage is not walk:
            start = x
            continue
        if start is not None:
            yield start
        start = None
        yield x
    if start is not None:  # a walk of no steps
        yield start


def _length(delta: Tensor) -> Tensor:
    """Return the root mean square over the pixels of each image, (B,)."""
    return delta.flatten(1).square().mean(dim=1).sqrt()


def walk_figures(batches: Iterable[Sequence[Moment]]) -> list[dict[str, Any]]:
    """Summarise chains, moment by moment.

    Args:
        batches: what :func:`follow` returned, batch by batch, all with the same steps.

    Returns:
        For each step: ``step``, ``energy`` (mean), ``energy_low`` and ``energy_high`` (5th and
        95th percentile), ``displacement``, ``path`` (means, in [0, 1] pixels) and ``at_bounds``
        (see :func:`~jemstone.functional.box.at_bounds`).
    """
    rows = []
    for moments in zip(*batches, strict=True):
        energy = torch.cat([moment.energy for moment in moments]).double()
        x = torch.cat([moment.x for moment in moments])
        rows.append(
            {
                "step": moments[0].step,
                "energy": float(energy.mean()),
                "energy_low": float(energy.quantile(0.05)),
                "energy_high": float(energy.quantile(0.95)),
                "displacement": float(torch.cat([m.displacement for m in moments]).mean()),
                "path": float(torch.cat([m.path for m in moments]).mean()),
                "at_bounds": at_bounds(x),
            }
        )
    return rows
