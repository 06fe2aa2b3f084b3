"""What moves while a flow learns: weights, Adam's moments, the step. Tensors in one file."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jemstone.baselines.flows import ImageFlow, bits
from jemstone.errors import Mistake, brief
from jemstone.files import read_tensors, sync, write_tensors
from jemstone.training import Optimisation
from jemstone.training.momenta import below, load_momenta, momenta
from jemstone.types import Generator

__all__ = ["FlowState"]

_FLOW, _MOMENTA = "flow.", "optimiser."


@dataclass
class FlowState:
    """A flow that learns.

    Args:
        flow: whose weights move.
        optimiser: and its moments.
        step: optimiser steps done.
        seconds: of wall time that they took.
    """

    flow: ImageFlow
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def advance(
        self,
        x: Tensor,
        y: Tensor,
        optimisation: Optimisation,
        generator: Generator,
    ) -> dict[str, float]:
        """Descend the bits per dimension of a batch, by one step; a lost step is not taken.

        Args:
            x: images (B, C, H, W) in [0, 1], bytes spread.
            y: labels, int64 (B,).
            optimisation: of the run, its number of steps resolved.
            generator: of the flow's estimator.

        Returns:
            ``loss`` in bits per dimension, ``grad_norm``, ``learning_rate``.
        """
        began = time.perf_counter()
        if self.step == 0:
            self.flow.settle(x, generator.fold("settle"))
        rate = optimisation.learning_rate_at(self.step, optimisation.steps or 0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = bits(self.flow.log_prob(x, y, generator), math.prod(x.shape[1:])).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            self.flow.parameters(), optimisation.clip_norm or math.inf
        )
        numbers = {"loss": float(loss.detach()), "grad_norm": float(norm), "learning_rate": rate}
        if all(map(math.isfinite, numbers.values())) and numbers["loss"] < optimisation.loss_limit:
            self.optimiser.step()
            self.flow.moved()
            self.step += 1
        self.seconds += time.perf_counter() - began
        return numbers

    def save(self, file: Path) -> None:
        """Write the state: the file is the new one or the one before, never a part."""
        tensors = {f"{_FLOW}{name}": value for name, value in self.flow.state_dict().items()}
        tensors |= {f"{_MOMENTA}{name}": value for name, value in momenta(self.optimiser).items()}
        tensors["step"] = torch.tensor(self.step)
        tensors["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        write_tensors(file, tensors)
        sync(file.parent)

    def load(self, file: Path) -> None:
        """Restore what :meth:`save` wrote.

        Raises:
            Mistake: where the file is broken, or another flow's.
        """
        tensors = read_tensors(file)
        try:
            self.flow.load_state_dict(below(_FLOW, tensors))
            load_momenta(self.optimiser, below(_MOMENTA, tensors))
            self.step, self.seconds = int(tensors["step"]), float(tensors["seconds"])
        except (KeyError, ValueError, RuntimeError, IndexError, TypeError) as error:
            raise Mistake(f"{file} does not fit this flow: {brief(error)}") from error
