"""Stages in order, and the sampler that begins them somewhere."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jemstone.samplers.walk import Walk
from jemstone.types import EnergyModel, Generator, Init, Stage

__all__ = ["Compose", "Sampler"]


class Compose:
    """Run stages in order. ``Compose()`` is the identity, so "off" is a value and not an if.

    A stage inside a composition that is inside another draws the same noise as it would without
    the inner brackets: composition is associative.

    Args:
        stages: what to run; compositions among them are unfolded.
    """

    def __init__(self, *stages: Stage) -> None:
        self.stages: tuple[Stage, ...] = tuple(
            part
            for stage in stages
            for part in (stage.stages if isinstance(stage, Compose) else (stage,))
        )

    def __call__(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Tensor:
        """Return where the last stage ends.

        Args:
            model: the energy.
            x: images to start from (B, C, H, W).
            y: labels, int64 (B,), where a stage wants them.
            generator: the randomness; each stage gets a stream of its own.
        """
        for number, stage in enumerate(self.stages):
            x = stage(model, x, y, generator.fold(number))
        return x

    def iterate(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Iterator[Tensor]:
        """Yield every image on the way."""
        return (end for _, end in self.trace(model, x, y, generator))

    def trace(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Iterator[tuple[Stage, Tensor]]:
        """Yield every image on the way, after the stage that it is of."""
        for number, stage in enumerate(self.stages):
            end = x
            for end in stage.iterate(model, x, y, generator.fold(number)):
                yield stage, end
            x = end


class Sampler:
    """Draw images from scratch: an init, then stages.

    Args:
        init: where chains begin.
        stages: what moves them.
    """

    def __init__(self, init: Init, *stages: Stage) -> None:
        self.init = init
        self.stages = Compose(*stages)

    @property
    def passes(self) -> int:
        """Passes through the network, forward and back, that an image takes."""
        return sum(stage.steps for stage in self.stages.stages if isinstance(stage, Walk))

    def __call__(self, model: EnergyModel, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label.

        Args:
            model: the energy.
            y: labels, int64 (B,); they choose the init's class even where the walks ignore them.
            generator: the randomness.
        """
        x = self.init(y, generator.fold("init"))
        with torch.no_grad():
            return self.stages(model, x, y, generator.fold("stages"))

    def iterate(self, model: EnergyModel, y: Tensor, generator: Generator) -> Iterator[Tensor]:
        """Yield the init and every image on the way, for figures."""
        return (x for _, x in self.trace(model, y, generator))

    def trace(
        self, model: EnergyModel, y: Tensor, generator: Generator
    ) -> Iterator[tuple[Init | Stage, Tensor]]:
        """Yield the init and every image on the way, after what it is of."""
        x = self.init(y, generator.fold("init"))
        yield self.init, x
        yield from self.stages.trace(model, x, y, generator.fold("stages"))
