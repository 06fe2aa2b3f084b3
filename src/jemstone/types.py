"""The words every room shares: a batch, a loss, and the shapes of the parts that meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from jemstone.random import Generator

__all__ = [
    "Adversary",
    "Batch",
    "EnergyModel",
    "FeatureExtractor",
    "Generator",
    "Init",
    "Labelled",
    "Loss",
    "Objective",
    "Potential",
    "SampleFrom",
    "Stage",
]


class Labelled(NamedTuple):
    """Labelled images: ``x`` float32 (B, C, H, W) in [0, 1], ``y`` int64 (B,)."""

    x: Tensor
    y: Tensor


class Batch(NamedTuple):
    """What a step of training sees: labelled images, and which step it is, from 0."""

    x: Tensor
    y: Tensor
    step: int = 0


class Loss(NamedTuple):
    """A scalar to descend, and the detached scalars worth logging beside it."""

    value: Tensor
    terms: Mapping[str, Tensor]


class EnergyModel(Protocol):
    """A network read as an energy: ``E(x, y) = -f(x)[y]``, ``E(x) = -logsumexp_y f(x)[y]``."""

    def logits(self, x: Tensor) -> Tensor:
        """Return ``f(x)``, (B, K)."""
        ...

    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return ``E(x, y)``, or ``E(x)`` where no label is given, (B,)."""
        ...


Potential = Callable[[EnergyModel, Tensor, Tensor | None], Tensor]
"""``U(x | y)``, (B,). Every walk goes downhill on one."""


class Init(Protocol):
    """Where chains begin: a distribution over images, given their classes."""

    def __call__(self, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label of ``y`` (B,)."""
        ...


class Stage(Protocol):
    """One part of a sampler: a map from images to images that may look at the model."""

    def __call__(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Tensor:
        """Return where the stage ends."""
        ...

    def iterate(
        self, model: EnergyModel, x: Tensor, y: Tensor | None, generator: Generator
    ) -> Iterator[Tensor]:
        """Yield every image on the way, the last of them where ``__call__`` ends."""
        ...


class Adversary(Stage, Protocol):
    """A stage within a ball, which can be made smaller."""

    def scaled(self, share: float) -> Stage:
        """Return the same attack in a ball of ``share`` times the radius, its steps as short."""
        ...


class SampleFrom(Protocol):
    """Whatever draws images from a model: a sampler from scratch, or a persistent one."""

    def __call__(self, model: EnergyModel, y: Tensor, generator: Generator) -> Tensor:
        """Draw one image for each label of ``y`` (B,)."""
        ...


class Objective(Protocol):
    """What training descends."""

    def __call__(self, model: EnergyModel, batch: Batch, generator: Generator) -> Loss:
        """Return the loss of one batch."""
        ...


class FeatureExtractor(Protocol):
    """The eye of a judge: what images look like to it, and which class it sees."""

    @property
    def name(self) -> str:
        """Stands beside every figure that the extractor gives."""
        ...

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [0, 1] to features (B, D) and logits (B, K)."""
        ...
