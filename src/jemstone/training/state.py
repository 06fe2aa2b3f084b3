"""All that a run must remember: tensors and JSON, never a pickle.

Randomness is a function of (seed, step, image), so a run has no random state to keep: it goes on
bit for bit from weights, averages, optimiser, chains and the step.
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from jemstone.errors import Mistake, brief
from jemstone.files import read_json, read_tensors, write_json, write_tensors
from jemstone.model import JointEnergyModel
from jemstone.samplers import ReplayBuffer

__all__ = ["TrainingState", "read_record"]

_MOMENTA = {"momentum_buffer", "step", "exp_avg", "exp_avg_sq"}  # of SGD and Adam


@dataclass
class TrainingState:
    """What moves while a model is trained.

    Args:
        model: the weights that the optimiser moves.
        optimiser: and its momenta.
        buffer: the persistent chains, where the objective has any.
        average: the moving average of the weights, where it is on.
        step: optimiser steps done.
        metrics: the newest numbers that were logged.
    """

    model: JointEnergyModel
    optimiser: torch.optim.Optimizer
    buffer: ReplayBuffer | None = None
    average: JointEnergyModel | None = None
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def weights_to_use(self) -> JointEnergyModel:
        """The model to sample from and to judge: the average, if there is one."""
        return self.model if self.average is None else self.average

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the weights: ``a <- d a + (1 - d) w``.

        Args:
            decay: of the average; ``d`` is the smaller of it and ``(1 + t) / (10 + t)`` at step
                ``t``, so that the random initial weights are soon forgotten. 0 keeps none.
        """
        if decay == 0:
            return
        if self.average is None:
            self.average = copy.deepcopy(self.model)
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for mean, weight in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(weight, 1.0 - decay)
            else:
                mean.copy_(weight)

    def save(self, folder: Path, model: JointEnergyModel) -> None:
        """Write a checkpoint into a new folder that takes its name when it is complete.

        Args:
            folder: ``checkpoint/`` of a run. What lies there moves to ``checkpoints/NNNNNN``.
            model: the weights to use, as ``model.safetensors``.
        """
        beside = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(beside, ignore_errors=True)
        model.save_pretrained(beside)
        write_tensors(beside / "training.safetensors", self._tensors())
        if self.buffer is not None:
            write_tensors(beside / "chains-0.safetensors", self.buffer.state_dict())
        write_json(beside / "training.json", {"step": self.step, "metrics": self.metrics})
        if folder.exists():
            former, _ = read_record(folder)
            archive = folder.parent / "checkpoints" / f"{former:06d}"
            shutil.rmtree(archive, ignore_errors=True)
            archive.parent.mkdir(exist_ok=True)
            folder.rename(archive)
        beside.rename(folder)

    def load(self, folder: Path) -> None:
        """Restore what :meth:`save` wrote.

        Raises:
            Mistake: where a file is missing, broken, or of another run's shape.
        """
        tensors = read_tensors(folder / "training.safetensors")
        self.step, self.metrics = read_record(folder)
        try:
            self.model.load_state_dict(_below("model.", tensors))
            average = _below("average.", tensors)
            if average:
                self.average = copy.deepcopy(self.model)
                self.average.load_state_dict(average)
            self._load_momenta(_below("optimiser.", tensors))
            if self.buffer is not None:
                self.buffer.load_state_dict(read_tensors(folder / "chains-0.safetensors"))
        except (KeyError, TypeError, RuntimeError, IndexError, ValueError) as error:
            if isinstance(error, Mistake):
                raise
            raise Mistake(f"{folder} does not fit this run: {brief(error)}") from error

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            for name, value in self.average.state_dict().items():
                tensors[f"average.{name}"] = value
        for number, slots in self.optimiser.state_dict()["state"].items():
            for name, value in slots.items():
                if value is not None:
                    tensors[f"optimiser.{number}.{name}"] = torch.as_tensor(value)
        return tensors

    def _load_momenta(self, tensors: dict[str, Tensor]) -> None:
        parameters = self.optimiser.param_groups[0]["params"]
        for key, value in tensors.items():
            number, name = key.split(".")
            parameter = parameters[int(number)]
            if name not in _MOMENTA or int(number) < 0:
                raise Mistake(f"no optimiser here keeps '{key}'")
            if value.shape == parameter.shape:  # in the parameter's memory format
                value = torch.empty_like(parameter).copy_(value)
            elif name != "step" or value.dim():
                raise Mistake(f"the optimiser's '{key}' has another shape than its weights")
            self.optimiser.state[parameter][name] = value


def read_record(folder: Path) -> tuple[int, dict[str, float]]:
    """Read a checkpoint's step, and the numbers that were newest then.

    Args:
        folder: of the checkpoint.

    Raises:
        Mistake: where the file is missing, broken, or names no step of a run.
    """
    file = folder / "training.json"
    record = read_json(file)
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        raise Mistake(f"{file} does not fit a run: it names no step")
    if not isinstance(record.get("metrics"), dict):
        raise Mistake(f"{file} does not fit a run: it names no metrics")
    return record["step"], record["metrics"]


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
