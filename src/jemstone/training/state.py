"""All that a run must remember: tensors and JSON, never a pickle.

Randomness is a function of (seed, step, image), so a run has no random state to keep: it goes on
bit for bit from weights, averages, optimiser, chains, the step, and what the guard remembers.
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.errors import Mistake, brief
from jemstone.files import read_json, read_tensors, sync, write_json, write_tensors
from jemstone.model import JointEnergyModel
from jemstone.samplers import ReplayBuffer
from jemstone.training.guard import Watch
from jemstone.training.momenta import below, load_momenta, momenta
from jemstone.training.processes import Processes

__all__ = ["TRAIL", "Snapshot", "TrainingState", "chains_files", "read_record"]

TRAIL = 2
"""Checkpoints that a run in trouble may go back to."""

_WRITTEN = ("model.safetensors", "config.json", "training.safetensors", "training.json")


def chains_files(checkpoint: Path) -> list[Path]:
    """Return the files with the chains of each process that wrote the checkpoint, one at least."""
    count = len(list(checkpoint.glob("chains-*.safetensors")))
    return [_chains_file(checkpoint, rank) for rank in range(max(1, count))]


def _chains_file(checkpoint: Path, rank: int) -> Path:
    return checkpoint / f"chains-{rank}.safetensors"


@dataclass(frozen=True)
class Snapshot:
    """A training state as it was: what a checkpoint holds, beside the weights to use.

    Args:
        tensors: weights, average and momenta, by name.
        chains: the buffer's images, this process's share of them; None where there are none.
        record: step, metrics, and what the guard remembers, as in ``training.json``.
    """

    tensors: dict[str, Tensor]
    chains: Tensor | None
    record: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, buffer: ReplayBuffer | None) -> Snapshot:
        """Read a checkpoint.

        Args:
            folder: of the checkpoint.
            buffer: the run's, which is left as it is; None where the run has none.

        Raises:
            Mistake: where a file is missing, broken, or of another run's shape.
        """
        tensors = read_tensors(folder / "training.safetensors")
        record = read_record(folder)
        chains = None
        if buffer is not None:
            chains = buffer.dealt(*map(read_tensors, chains_files(folder)))
        return cls(tensors, chains, record)

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return int(self.record["step"])

    def watch(self) -> Watch:
        """Return what the guard remembered."""
        known = self.record.get("guard", {})
        return Watch(
            int(known.get("retries", 0)),
            float(known.get("factor", 1.0)),
            {name: list(values) for name, values in known.get("window", {}).items()},
        )


@dataclass
class TrainingState:
    """What moves while a model is trained.

    Args:
        model: the weights that the optimiser moves.
        optimiser: and its momenta.
        buffer: the persistent chains, where the objective has any; of many processes' chains,
            this one's.
        average: the moving average of the weights, where it is on.
        step: optimiser steps done.
        metrics: the newest numbers that were logged.
        watch: what the guard remembers.
        trail: the newest checkpoints, oldest first: the first is the one to go back to. Empty in a
            run that may not go back.
        processes: that train together; all but the chains is the same in each.
    """

    model: JointEnergyModel
    optimiser: torch.optim.Optimizer
    buffer: ReplayBuffer | None = None
    average: JointEnergyModel | None = None
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)
    trail: list[Snapshot] = field(default_factory=list)
    processes: Processes = field(default_factory=Processes)

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

        Every process calls this, and adds its chains to what the first one writes.

        Args:
            folder: ``checkpoint/`` of a run, whose own folder is there. What lies in it moves to
                ``checkpoints/NNNNNN``.
            model: the weights to use, as ``model.safetensors``.

        Raises:
            OSError: where the disk is full, closed to us or gone; what was saved before is whole.
        """
        beside = folder.with_name(f".{folder.name}.new")
        if self.processes.leads:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()  # in a folder that is there: one that has vanished is not made again
            model.save_pretrained(beside)
            write_tensors(beside / "training.safetensors", self._tensors())
            write_json(beside / "training.json", self._record())
        self.processes.wait()
        if self.buffer is not None:
            write_tensors(_chains_file(beside, self.processes.rank), self.buffer.state_dict())
        self.processes.wait()
        if self.processes.leads:
            held = range(self.processes.world if self.buffer is not None else 0)
            wanted = [beside / name for name in _WRITTEN]
            wanted += [_chains_file(beside, rank) for rank in held]
            if not all(file.is_file() for file in wanted):
                raise FileNotFoundError(f"{folder.parent} vanished while a checkpoint was written")
            self._take_name(beside, folder)
        self.processes.wait()

    @staticmethod
    def _take_name(beside: Path, folder: Path) -> None:
        sync(beside)
        if folder.exists():
            former = read_record(folder)["step"]
            archive = folder.parent / "checkpoints" / f"{former:06d}"
            shutil.rmtree(archive, ignore_errors=True)
            archive.parent.mkdir(exist_ok=True)
            folder.rename(archive)
        beside.rename(folder)
        sync(folder.parent)

    def load(self, folder: Path) -> None:
        """Restore what :meth:`save` wrote, in however many processes.

        Raises:
            Mistake: where a file is missing, broken, or of another run's shape.
        """
        try:
            snapshot = Snapshot.read(folder, self.buffer)
            self.trail = self._trail(folder, snapshot)
            self.restore(snapshot)
        except (KeyError, TypeError, RuntimeError, IndexError, ValueError, AttributeError) as error:
            if isinstance(error, Mistake):
                raise
            raise Mistake(f"{folder} does not fit this run: {brief(error)}") from error

    def snapshot(self) -> Snapshot:
        """Return a copy of all that is remembered, on the processor."""
        chains = None if self.buffer is None else self.buffer.images.to("cpu", copy=True)
        return Snapshot(_copied(self._tensors()), chains, copy.deepcopy(self._record()))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot; the trail stays."""
        record, tensors = snapshot.record, snapshot.tensors
        self.step, self.metrics = record["step"], record["metrics"]
        self.watch = snapshot.watch()
        self.model.load_state_dict(below("model.", tensors))
        average = below("average.", tensors)
        self.average = None
        if average:
            self.average = copy.deepcopy(self.model)
            self.average.load_state_dict(average)
        load_momenta(self.optimiser, below("optimiser.", tensors))
        if self.buffer is not None and snapshot.chains is not None:
            self.buffer.images.copy_(snapshot.chains)

    def leave_trail(self) -> None:
        """Remember the state as one to go back to, once it has proved to be good.

        What all processes remember is what a checkpoint holds: the first one's statistics.
        """
        self.processes.align(self.model)
        self.trail = [*self.trail, self.snapshot()][-TRAIL:]

    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = {"step": self.step, "metrics": self.metrics}
        if self.trail or self.watch != Watch():
            trail = [snapshot.step for snapshot in self.trail]
            record["guard"] = {**self.watch.record(), "trail": trail}
        return record

    def _trail(self, folder: Path, newest: Snapshot) -> list[Snapshot]:
        """Find what a checkpoint's run could go back to: older ones, or how it began, as here."""
        run = folder.parent if folder.name == "checkpoint" else folder.parent.parent
        found = []
        for step in newest.record.get("guard", {}).get("trail", []):
            archive = run / "checkpoints" / f"{step:06d}"
            if step == newest.step:
                found.append(newest)
            elif archive.is_dir():
                found.append(Snapshot.read(archive, self.buffer))
            elif step == self.step == 0:
                found.append(self.snapshot())
        return found

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            for name, value in self.average.state_dict().items():
                tensors[f"average.{name}"] = value
        for name, value in momenta(self.optimiser).items():
            tensors[f"optimiser.{name}"] = value
        return tensors


def read_record(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's record: its step, the newest numbers, what the guard remembered.

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
    return record


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
