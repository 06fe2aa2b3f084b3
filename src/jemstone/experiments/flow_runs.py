"""A flow's run: trained by likelihood in a folder of its own, and resumed bit for bit.

The folder holds ``flow.json`` (which flow, on what, how large), ``checkpoint.safetensors``
(weights, momenta and step; the newest, or the one before) and ``metrics.jsonl``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.baselines.flows import (
    ESTIMATORS,
    FLOWS,
    ImageFlow,
    bits_per_dim,
    build_flow,
    dequantised,
)
from jemstone.data import Augmentation, DataSet, Epochs, Images, fingerprint, to_bytes
from jemstone.errors import Mistake
from jemstone.experiments.flow_file import flow_file, read_flow
from jemstone.experiments.flow_sizes import FlowSize, size_for
from jemstone.experiments.flow_state import FlowState
from jemstone.experiments.provenance import source_commit, versions
from jemstone.files import check_new, is_file, read_tensors, sha256_of, write_json
from jemstone.lock import alone
from jemstone.training import Device, Diverged, Interrupted, RunFolder, choose_device
from jemstone.types import Generator

__all__ = ["FLOWS", "FlowRun"]

_ADVICE = "try another seed"
_CHECKPOINTS, _LINES = 10, 100  # of a run
_DRAWN = 250  # images at a time
_LOST = 0.02  # share of samples that may overflow


@dataclass(frozen=True)
class FlowRun:
    """A flow's folder, opened.

    Args:
        path: the folder.
        about: what ``flow.json`` says.
        size: of the flow and its training, as there.
    """

    path: Path
    about: dict[str, Any]
    size: FlowSize

    @classmethod
    def open(cls, path: Path) -> FlowRun:
        """Open a folder.

        Raises:
            Mistake: where it is not one of a flow, or its file is broken.
        """
        return cls(path, *read_flow(path / "flow.json"))

    @classmethod
    def begin(
        cls,
        path: Path,
        name: str,
        data: DataSet,
        budget: str = "small",
        seed: int = 0,
        *,
        size: FlowSize | None = None,
        device: Device | None = None,
        checkpoint_every: int | None = None,
    ) -> FlowRun:
        """Begin a run in a new folder, or take up the very same one where the folder holds it.

        Args:
            path: of the folder.
            name: of the flow.
            data: to learn.
            budget: ``quick``, ``small`` or ``paper``.
            seed: of everything random.
            size: another than the budget's.
            device: where to run, in float32 whatever it prefers; by default the processor.
            checkpoint_every: steps between checkpoints; by default a tenth of the run.

        Raises:
            Mistake: where the folder holds something else, the images suit no flow, or normflows
                is not installed.
        """
        size = (size or size_for(name, data, budget)).resolved(len(data.train))
        about = flow_file(name, data, budget, seed, size)
        if path.is_dir() and any(path.iterdir()):
            begun = cls.open(path)
            if {key: begun.about[key] for key in about} != about:
                raise Mistake(f"{path} holds another flow's run: choose another --out")
            return begun
        check_new(path / "flow.json")
        # What cannot be built is refused before a file is written.
        build_flow(name, data.shape, len(data.classes), size.architecture, seed)
        about |= {
            "checkpoint_every": checkpoint_every
            or max(1, (size.optimisation.steps or 0) // _CHECKPOINTS),
            "device": (device or Device()).name,
            **versions(),
            "commit": source_commit(),
        }
        write_json(path / "flow.json", about)
        return cls(path, about, size)

    @property
    def name(self) -> str:
        """Which flow, as in :data:`FLOWS`."""
        return str(self.about["flow"])

    @property
    def seed(self) -> int:
        """Of everything random."""
        return int(self.about["seed"])

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.size.optimisation.steps or 0

    @property
    def steps_done(self) -> int:
        """At the newest checkpoint; 0 where there is none."""
        return int(self._number("step"))

    @property
    def done(self) -> bool:
        """Whether the run is at its end."""
        return self.steps_done >= self.steps

    @property
    def train_seconds(self) -> float:
        """Of wall time in the steps up to the newest checkpoint."""
        return self._number("seconds")

    @property
    def file(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint.safetensors"

    @property
    def weights_sha256(self) -> str:
        """Of the newest checkpoint."""
        return sha256_of(self.file)

    def flow(self) -> ImageFlow:
        """Load the flow as it was at the newest checkpoint, in eval mode.

        Raises:
            Mistake: where there is none, or it is broken or another run's.
        """
        if not is_file(self.file):
            raise Mistake(f"{self.path} holds no checkpoint yet: train it first")
        return self._state().flow.eval()

    @property
    def estimator(self) -> str:
        """How :meth:`bits_per_dim` computes log-determinants, in words."""
        return ESTIMATORS[self.name]

    def sample(
        self,
        y: Tensor,
        generator: Generator,
        overflowed: Callable[[int], object] = lambda images: None,
    ) -> Tensor:
        """Draw an image for each label, from the Gaussian of its class.

        An image may overflow what float32 holds. It stays among the samples, its pixels black,
        white or grey, and is counted.

        Args:
            y: labels, int64 (N,).
            generator: the randomness; image i depends on (seed, i) alone.
            overflowed: hears how many images were not finite.

        Returns:
            Images (N, C, H, W) in [0, 1], on the processor.

        Raises:
            Diverged: where more than one image in fifty is not finite.
            Mistake: where there is no checkpoint.
        """
        flow, device = self.flow(), self.about["device"]
        parts = [
            flow.sample(y[places].to(device), generator.at(places)).cpu()
            for places in torch.arange(len(y)).split(_DRAWN)
        ]
        images = torch.cat(parts)
        lost = int((~images.flatten(1).isfinite().all(dim=1)).sum())
        if lost > _LOST * len(images):
            reason = f"{lost} of {len(images)} samples are not finite"
            raise Diverged(self.steps, reason, advice=_ADVICE)
        overflowed(lost)
        return images.nan_to_num(nan=0.5, posinf=1.0, neginf=0.0)

    def bits_per_dim(self, images: Images, generator: Generator) -> float:
        """Return the bits that ``p(x)``, told no label, spends on a byte of held-out images.

        Args:
            images: held out.
            generator: of the noise that spreads bytes, and of the estimator's probes.

        Raises:
            Mistake: where there is no checkpoint.
        """
        return bits_per_dim(self.flow(), images, generator)

    @alone
    def train(
        self,
        data: DataSet,
        progress: Callable[[str], object] = lambda line: None,
        *,
        wants_stop: Callable[[], bool] = lambda: False,
        on_metrics: Callable[[int, dict[str, float]], object] = lambda step, metrics: None,
    ) -> None:
        """Train to the end, from the newest checkpoint or from the start.

        Args:
            data: the run's.
            progress: hears how far it is, a line at a time.
            wants_stop: asked after each step whether to save and leave.
            on_metrics: hears the numbers of a step that are logged.

        Raises:
            Mistake: where the data has changed, or the checkpoint is broken.
            Busy: where another process trains the run.
            Diverged: where the loss or its gradient is not finite, or the loss beyond its limit.
            Interrupted: where it was asked to stop; the run can be resumed.
        """
        if fingerprint(data) != self.about["data_fingerprint"]:
            raise Mistake(f"{self.about['data']} has changed since {self.path} was begun")
        state = self._state()
        optimisation = self.size.optimisation
        folder = RunFolder(self.path)
        folder.cut_back(state.step)
        generator = Generator(self.seed).fold("training")
        epochs = Epochs(data.train, optimisation.batch_size, generator)
        augmentation = Augmentation(flip=data.flip)
        every, kept = max(1, self.steps // _LINES), self.about["checkpoint_every"]
        state.flow.train()
        logged, spent = state.step, state.seconds
        while state.step < self.steps:
            step, now = state.step, generator.fold(state.step)
            images, y = epochs.batch(step)
            images = to_bytes(augmentation(images, now.fold("augment")))
            x = dequantised(images, now.fold("spread")).to(self.about["device"])
            numbers = state.advance(x, y.to(x.device), optimisation, now.fold("estimator"))
            if state.step == step:
                reason = f"loss is {numbers['loss']:.4g}, of a gradient {numbers['grad_norm']:.4g}"
                folder.on_event({"step": step, "event": "diverged", "reason": reason})
                raise Diverged(step, reason, advice=_ADVICE)
            last = state.step == self.steps
            if state.step % every == 0 or last:
                pace = (state.seconds - spent) / (state.step - logged)
                logged, spent = state.step, state.seconds
                told = numbers | {"seconds_per_step": pace}
                folder.on_metrics(state.step, told)
                on_metrics(state.step, told)
                progress(
                    f"{self.name}: step {state.step:,} of {self.steps:,}, "
                    f"{numbers['loss']:.2f} bits/dim, {pace:.2f} s a step"
                )
            stop = not last and wants_stop()
            if state.step % kept == 0 or last or stop:
                state.save(self.file)
            if stop:
                raise Interrupted(state.step, self.steps)

    def _state(self) -> FlowState:
        """Build what training moves, as it was at the newest checkpoint or at the start."""
        shape = tuple(self.about["shape"])
        flow = build_flow(
            self.name, shape, self.about["classes"], self.size.architecture, self.seed
        ).to(choose_device(self.about["device"], "fp32").name)
        state = FlowState(flow, self.size.optimisation.build(flow))
        if is_file(self.file):
            state.load(self.file)
        return state

    def _number(self, name: str) -> float:
        """Return a number of the newest checkpoint; 0 where there is none."""
        if not is_file(self.file):
            return 0.0
        tensors = read_tensors(self.file)
        if name not in tensors:
            raise Mistake(f"{self.file} is not a flow's checkpoint")
        return float(tensors[name])
