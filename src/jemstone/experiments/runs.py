"""A run: a recipe, a data set and a seed, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.checkpoints import checkpoints, newest_checkpoint
from jemstone.data import DataSet, fingerprint, load
from jemstone.errors import Mistake
from jemstone.experiments.environment import check_environment
from jemstone.files import is_file, read_json, read_tensors, sha256_of
from jemstone.lock import Busy, alone_in
from jemstone.model import JointEnergyModel
from jemstone.recipes import (
    Recipe,
    build_buffer,
    build_model,
    build_objective,
    build_sampler,
    check_data,
    checked,
    read_recipe,
    refuse_oversized,
)
from jemstone.samplers import ClassGaussian, ReplayBuffer, Sampler, join_chains
from jemstone.training import (
    Device,
    Gallery,
    Guard,
    Listener,
    Processes,
    RunFolder,
    TensorBoard,
    TrainingState,
    chains_files,
    chains_shown,
    check_tensorboard,
    choose_device,
    labels_shown,
    read_record,
    train,
)
from jemstone.types import Generator

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """A run's folder, opened.

    Args:
        path: the folder.
        recipe: as resolved when the run began.
        environment: what it runs on: data, seed, device, versions.
    """

    path: Path
    recipe: Recipe
    environment: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open the folder of a run.

        Raises:
            Mistake: where the folder is not one of a run, or its files are broken.
        """
        if not is_file(path / "recipe.yaml"):
            raise Mistake(f"{path} is not a run: name a folder that `jemstone train --out` made")
        environment = read_json(path / "environment.json")
        check_environment(environment, path / "environment.json")
        recipe = read_recipe(path / "recipe.yaml")
        try:
            checked(recipe)
            if recipe.optimisation.steps is None:
                raise Mistake("optimisation.steps is not there, as it is in every run")
        except Mistake as error:
            raise Mistake(f"{path / 'recipe.yaml'}: {error}") from error
        return cls(path, recipe, environment)

    @property
    def seed(self) -> int:
        """Of everything random."""
        return int(self.environment["seed"])

    @property
    def device(self) -> Device:
        """Where the run began.

        Raises:
            Mistake: where this machine lacks it.
        """
        precision = "bf16" if self.environment["bf16"] else "fp32"
        return choose_device(self.environment["device"], precision)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.recipe.optimisation.steps or 0

    @property
    def steps_done(self) -> int:
        """At the newest checkpoint; 0 where there is none.

        Raises:
            Mistake: where it is broken.
        """
        if not checkpoints(self.path):
            return 0
        return int(read_record(newest_checkpoint(self.path))["step"])

    @property
    def weights_sha256(self) -> str:
        """Of the file of the weights to use.

        Raises:
            Mistake: where the run has no checkpoint.
        """
        return sha256_of(newest_checkpoint(self.path) / "model.safetensors")

    @cached_property
    def gaussian(self) -> ClassGaussian:
        """The class-Gaussian statistics of the training images."""
        return ClassGaussian.load(self.path / "init.safetensors")

    @property
    def classes(self) -> int:
        """K."""
        return len(self.gaussian.means)

    def data(
        self, root: str | None = None, told: Callable[[str], object] = lambda line: None
    ) -> DataSet:
        """Load the run's data.

        Args:
            root: where it lies now; by default where it lay when the run began.
            told: hears how far a long reading is.

        Raises:
            Mistake: where it is missing, or is not what the run began with.
        """
        root = root or self.environment["data_root"]
        resize = self.environment.get("resize")
        data = load(self.environment["data"], root, resize=resize, told=told)
        if fingerprint(data) != self.environment["data_fingerprint"]:
            raise Mistake(f"{self.environment['data']} has changed since {self.path} was begun")
        return data

    def model(self) -> JointEnergyModel:
        """Load the weights to use, in eval mode.

        Raises:
            Mistake: where the run has no checkpoint, or one that is broken or another run's.
        """
        folder = newest_checkpoint(self.path)
        model = JointEnergyModel.from_pretrained(folder)
        arguments = model.config["arguments"]
        if (arguments["channels"], arguments["classes"]) != (self.gaussian.shape[0], self.classes):
            raise Mistake(f"{folder} holds a network for other images than the run's")
        return model

    def sampler(self, name: str) -> Sampler:
        """Build a sampler of the run's recipe, from scratch.

        Raises:
            Mistake: for a name that is not one of the samplers'.
        """
        return build_sampler(self.recipe, name, self.gaussian)

    def chains(self) -> Tensor | None:
        """Load the replay buffer's images, slots of each class in turn; None where there is none.

        Raises:
            Mistake: where the file is broken.
        """
        files = chains_files(newest_checkpoint(self.path))
        if not files[0].is_file():
            return None
        shares = [read_tensors(file).get("images", torch.empty(0)) for file in files]
        for file, share in zip(files, shares, strict=True):
            if share.shape[1:] != self.gaussian.shape:
                raise Mistake(f"{file} does not hold the chains of this run")
        return join_chains(shares, self.classes).transpose(0, 1).flatten(0, 1)

    def state(self, data: DataSet, processes: Processes | None = None) -> TrainingState:
        """Build what training moves, as it was at the newest checkpoint or at the start.

        Args:
            data: the run's.
            processes: that train together; by default this one alone. Chains that others kept
                are dealt anew.

        Raises:
            Mistake: where the checkpoint is broken, or TensorBoard is wanted and not installed.
        """
        check_data(self.recipe, data)
        if (data.shape, len(data.classes)) != (self.gaussian.shape, self.classes):
            raise Mistake(f"{self.path / 'init.safetensors'} is of other images than {data.name}")
        refuse_oversized(
            self.recipe,
            data.shape,
            self.classes,
            len(data.train),
            self.device.memory,
            data.resident,
        )
        if self.environment.get("tensorboard"):
            check_tensorboard()
        model = build_model(self.recipe, data, self.seed).to(self.device.name)
        chains = Generator(self.seed).fold("chains")
        gaussian = self.gaussian.to(self.device.name)
        processes = processes or Processes()
        buffer = build_buffer(self.recipe, gaussian, self.classes, chains, processes.share)
        optimiser = self.recipe.optimisation.build(model)
        state = TrainingState(model, optimiser, buffer, processes=processes)
        if checkpoints(self.path):
            state.load(newest_checkpoint(self.path))
            for _ in RunFolder(self.path).metrics():
                pass  # they are cut back to the step: what is broken is told before that
        return state

    def train(
        self, data: DataSet, *listeners: Listener, state: TrainingState | None = None
    ) -> TrainingState:
        """Train to the end, from the newest checkpoint or from the start.

        Args:
            data: the run's.
            listeners: hear of the progress, after the run's folder.
            state: what :meth:`state` returned, where it was asked for before.

        Raises:
            Mistake: where the checkpoint is broken.
            Busy: where another process trains the run, or has meanwhile.
            Diverged: where training is lost.
            Interrupted: where a listener wanted to stop; the run can be resumed.
        """
        state = state or self.state(data)
        processes, step = state.processes, state.step
        with ExitStack() as stack:
            processes.in_turn(lambda: self._take(stack, step) if processes.leads else None)
            boards: list[TensorBoard] = []
            if self.environment.get("tensorboard") and processes.leads:
                board = TensorBoard(self.path / "tensorboard", step)
                boards.append(stack.enter_context(board))
            gallery = Gallery(self.path / "samples", *(board.show for board in boards))
            folder = RunFolder(self.path, self._picture(state.buffer), gallery)
            if processes.leads:
                folder.cut_back(step, state.watch.retries)
            return train(
                state,
                build_objective(self.recipe, state.buffer, self.classes),
                data.train,
                self.recipe.optimisation,
                (folder, *boards, *listeners),
                Generator(self.seed).fold("training"),
                augmentation=self.recipe.augmentation,
                device=self.device,
                guard=Guard(self.recipe.optimisation.loss_limit, self.recipe.guard),
                checkpoint_every=self.environment["checkpoint_every"],
                on_step=lambda state: self._hang(state, gallery),
            )

    def _take(self, stack: ExitStack, step: int) -> None:
        """Keep other trainers away until the stack is left; refuse to go on from a former step."""
        stack.enter_context(alone_in(self.path))
        if self.steps_done > step:
            raise Busy(f"another process has trained {self.path} meanwhile: resume it anew")

    def _hang(self, state: TrainingState, gallery: Gallery) -> None:
        """Keep a picture of the chains where one is due between checkpoints."""
        every, kept = self.environment.get("grid_every"), self.environment["checkpoint_every"]
        due = every and state.step % every == 0 and state.step % kept and state.step < self.steps
        if due and state.buffer is not None and state.processes.leads:
            gallery.hang(state.step, chains_shown(state.buffer))

    def _picture(self, buffer: ReplayBuffer | None) -> Callable[[JointEnergyModel], Tensor]:
        """Show the chains as they are; a run without chains paints by the targeted attack."""
        if buffer is not None:
            return lambda model: chains_shown(buffer)

        def painted(model: JointEnergyModel) -> Tensor:
            y = labels_shown(self.classes).to(self.device.name)
            return self.sampler("attack")(model, y, Generator(self.seed).fold("picture")).cpu()

        return painted
