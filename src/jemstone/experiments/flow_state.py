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
from jemstone.types import Generator

__all__ = ["FlowState"]

_FLOW, _MOMENTS = "flow.", "optimiser."


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
        moments = self.optimiser.state_dict()["state"]
        tensors = {f"{_FLOW}{name}": value for name, value in self.flow.state_dict().items()}
        for number, slots in moments.items():
            tensors |= {f"{_MOMENTS}{number}.{name}": value for name, value in slots.items()}
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
            weights = {k.removeprefix(_FLOW): v for k, v in tensors.items() if k.startswith(_FLOW)}
            self.flow.load_state_dict(weights)
            parameters = list(self.flow.parameters())
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(_MOMENTS):
                    number, name = key.removeprefix(_MOMENTS).split(".")
                    if name != "step" and value.shape != parameters[int(number)].shape:
                        raise ValueError(f"{key} has another shape than its weights")
                    slots.setdefault(int(number), {})[name] = value
            groups = self.optimiser.state_dict()["param_groups"]
            self.optimiser.load_state_dict({"state": slots, "param_groups": groups})
            self.step, self.seconds = int(tensors["step"]), float(tensors["seconds"])
        except (KeyError, ValueError, RuntimeError, IndexError, TypeError) as error:
            raise Mistake(f"{file} does not fit this flow: {brief(error)}") from error
