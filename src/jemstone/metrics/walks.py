"""How a walk goes: its energy, how far it gets, and whether images saturate when it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake
from jemstone.functional.box import at_bounds
from jemstone.model import still
from jemstone.nn.modes import held
from jemstone.samplers import SGLD, Compose, Sampler
from jemstone.types import EnergyModel, Generator

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


def last_walk(sampler: Sampler) -> int:
    """Return which of a sampler's stages is its last walk on an energy.

    Raises:
        Mistake: where it has none.
    """
    places = [n for n, stage in enumerate(sampler.stages.stages) if isinstance(stage, SGLD)]
    if not places:
        raise Mistake("the sampler does not walk on an energy: choose one that does")
    return places[-1]


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
    place = last_walk(sampler)
    before, walk, after = _split(sampler.stages, place)
    x = sampler.init(y, generator.fold("init"))
    stream = generator.fold("stages")
    for number, stage in enumerate(before):
        x = stage(model, x, y, stream.fold(number))
    frozen = still(model, walk.mode, x)
    start, path = x, torch.zeros(len(x), dtype=x.dtype, device=x.device)
    moments = []
    for t in range(wanted[-1] + 1):
        if t:
            with held(model, walk.mode):
                moved = walk.step(frozen, x, y, start, stream.fold(place).fold(t - 1))
            path, x = path + _length(moved - x), moved
        if t in wanted:
            shown = x
            for number, stage in enumerate(after):
                shown = stage(model, shown, y, stream.fold(place + 1 + number))
            with held(model, walk.mode):
                energy = walk.potential(frozen, x, y)
            parts = (shown, energy, _length(x - start), path)
            moments.append(Moment(t, *(part.cpu() for part in parts)))
    return moments


def _split(stages: Compose, place: int) -> tuple[tuple[Any, ...], SGLD, tuple[Any, ...]]:
    walk = stages.stages[place]
    assert isinstance(walk, SGLD)
    return stages.stages[:place], walk, stages.stages[place + 1 :]


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
