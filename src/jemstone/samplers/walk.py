"""The one loop: attacks, painters and samplers are walks downhill on a potential."""

from __future__ import annotations

import abc
import copy
from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor

from jemstone.errors import Mistake, unknown
from jemstone.functional.energies import energy
from jemstone.model import still
from jemstone.nn.modes import MODES, held
from jemstone.types import EnergyModel, Generator, Potential

__all__ = ["Bounds", "Walk"]

Bounds = tuple[float, float] | None
"""The box of pixels a walk stays in, or None for a walk that may leave it."""


class Walk(abc.ABC):
    """Go ``steps`` steps downhill on a potential. A subclass writes ``step``: one equation.

    A walk leaves the model as it found it: ``training``, gradients of parameters, and the running
    statistics of batch norm.

    Args:
        steps: how many.
        potential: :math:`U(x | y)`, what the walk descends.
        bounds: the box, lowest and highest pixel; None for none.
        mode: ``eval``, or ``batch`` to normalise by the batch's statistics, untracked.

    Raises:
        Mistake: for an unknown mode, or fewer than no steps.
    """

    def __init__(
        self,
        steps: int,
        *,
        potential: Potential = energy,
        bounds: Bounds = (0.0, 1.0),
        mode: str = "eval",
    ) -> None:
        if mode not in MODES:
            raise unknown("mode", mode, MODES)
        if steps < 0:
            raise Mistake(f"a walk takes 0 steps or more, not {steps}")
        self.steps = steps
        self.potential = potential
        self.bounds = bounds
        self.mode = mode

    @abc.abstractmethod
    def step(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, origin: Tensor, generator: Generator
    ) -> Tensor:
        """Return the next images.

        Args:
            model: the energy.
            x: images (B, C, H, W).
            y: labels, int64 (B,), where the potential wants them.
            origin: where the walk began, of ``x``'s shape.
            generator: this step's randomness.
        """

    def lasting(self, steps: int) -> Self:
        """Return the same walk of another number of steps."""
        walk = copy.copy(self)
        walk.steps = steps
        return walk

    def start(self, x: Tensor, generator: Generator) -> Tensor:
        """Return where the walk's first step leaves from; by default ``x`` itself."""
        return x

    def inside(self, x: Tensor) -> Tensor:
        """Return the images, clamped to the box if there is one."""
        return x if self.bounds is None else x.clamp(*self.bounds)

    def __call__(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Tensor:
        """Return where the walk ends, (B, C, H, W).

        Args:
            model: the energy.
            x: images to start from (B, C, H, W).
            y: labels, int64 (B,), where the potential wants them.
            generator: the randomness of start and steps.
        """
        end = x
        with held(model, self.mode):
            for end in self.iterate(model, x, y, generator):  # noqa: B007 - the last is wanted
                pass
        return end

    @torch.no_grad()
    def iterate(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Iterator[Tensor]:
        """Yield the images after every step, before them the start if it is a draw of its own."""
        origin = x.detach()
        x = self.start(origin, generator.fold("start"))
        if x is not origin:
            yield x
        frozen = still(model, self.mode, x) if self.steps else model
        for t in range(self.steps):
            # The mode is held step by step: whoever stops listening gets the model back as it was.
            with held(model, self.mode):
                x = self.step(frozen, x, y, origin, generator.fold(t))
            yield x
