"""Who hears of a training: its folder, a progress bar, a test."""

from __future__ import annotations

from typing import Any, Protocol

from jemstone.model import JointEnergyModel
from jemstone.training.state import TrainingState

__all__ = ["Interrupted", "Listener", "Quiet"]


class Interrupted(Exception):
    """Training was asked to stop, and did so with its state kept.

    Args:
        step: steps done.
        steps: of how many.
    """

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"interrupted after step {step} of {steps}")
        self.step = step


class Listener(Protocol):
    """Who hears of the run's progress: the run folder, a progress bar, a test."""

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Hear the numbers of a step; of many processes, only the first one's listeners do."""
        ...

    def on_event(self, event: dict[str, Any]) -> None:
        """Hear that the run was rolled back, or diverged: ``step``, ``event``, ``reason``."""
        ...

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Keep the state, and the weights to use; every process keeps what is its own."""
        ...

    def wants_stop(self) -> bool:
        """Tell whether the run shall be saved and left at the end of this step."""
        ...


class Quiet:
    """Hear of a run and do nothing. Who cares for one thing alone overrides that."""

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Do nothing."""

    def on_event(self, event: dict[str, Any]) -> None:
        """Do nothing."""

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Do nothing."""

    def wants_stop(self) -> bool:
        """Return False."""
        return False
