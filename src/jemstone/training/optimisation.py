"""How weights are moved: optimiser, warm-up, schedule. Schedules count steps, never wall time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

__all__ = ["Optimisation"]


@dataclass(frozen=True)
class Optimisation:
    """The optimiser and its schedule.

    Args:
        optimiser: ``sgd`` (with momentum) or ``adam``.
        learning_rate: after warm-up.
        momentum: of SGD.
        weight_decay: added to the gradient, times the weights.
        batch_size: B.
        epochs: passes over the training images.
        steps: optimiser steps; where given, ``epochs`` does not count.
        warmup: steps in which the learning rate rises from zero.
        schedule: ``step``, ``cosine`` or ``constant``.
        milestones: of ``step``: the epochs, out of ``epochs``, after which the rate is decayed;
            where ``steps`` is given, the same shares of it.
        decay: of ``step``: what the rate is multiplied by.
        clip_norm: largest norm of the weights' gradient; None for no clip.
        loss_limit: a loss, or a gap between energies, beyond this is a lost run.
        ema: decay of the moving average of weights, smaller at first; 0 for none.
    """

    optimiser: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 64
    epochs: float = 1.0
    steps: int | None = None
    warmup: int = 0
    schedule: Literal["step", "cosine", "constant"] = "step"
    milestones: tuple[float, ...] = ()
    decay: float = 1.0
    clip_norm: float | None = None
    loss_limit: float = 1e8
    ema: float = 0.0

    def steps_in_all(self, steps_per_epoch: int) -> int:
        """Return the number of optimiser steps of a whole run."""
        return math.ceil(self.epochs * steps_per_epoch) if self.steps is None else self.steps

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of step ``step`` of ``steps``, counted from 0.

        >>> halved = Optimisation(learning_rate=1, epochs=2, warmup=4, milestones=(1,), decay=0.5)
        >>> [halved.learning_rate_at(step, 10) for step in (0, 3, 4, 5)]
        [0.25, 1.0, 1.0, 0.5]
        """
        rate = self.learning_rate
        if self.schedule == "step":
            rate *= self.decay ** sum(
                step * self.epochs >= epoch * steps for epoch in self.milestones
            )
        elif self.schedule == "cosine":
            rate *= 0.5 * (1.0 + math.cos(math.pi * step / steps))
        return rate * min(1.0, (step + 1) / self.warmup) if self.warmup else rate

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a network's parameters.

        Args:
            model: the network.
        """
        if self.optimiser == "adam":
            return torch.optim.Adam(
                model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
            )
        return torch.optim.SGD(
            model.parameters(),
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
