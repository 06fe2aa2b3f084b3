"""The one training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from jemstone.data import Augmentation, Epochs, Images
from jemstone.errors import Mistake
from jemstone.model import JointEnergyModel
from jemstone.nn.modes import learning, recalibrate
from jemstone.training.device import Device
from jemstone.training.guard import Diverged, Guard
from jemstone.training.optimisation import Optimisation
from jemstone.training.probe import probe
from jemstone.training.recovery import roll_back
from jemstone.training.state import TrainingState
from jemstone.types import Batch, Generator, Objective

__all__ = ["Interrupted", "Listener", "Quiet", "released", "train"]

_CALIBRATION_BATCHES = 50


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


def train(
    state: TrainingState,
    objective: Objective,
    images: Images,
    optimisation: Optimisation,
    listeners: Sequence[Listener],
    generator: Generator,
    *,
    augmentation: Augmentation | None = None,
    device: Device | None = None,
    guard: Guard | None = None,
    log_every: int = 20,
    checkpoint_every: int = 500,
    on_step: Callable[[TrainingState], object] = lambda state: None,
) -> TrainingState:
    """Descend an objective, from the state's step to the last.

    Where many processes train, each calls this with its own state, and all else the same.

    Args:
        state: what is trained, here in place.
        objective: the loss of a batch.
        images: to learn from.
        optimisation: optimiser and schedule.
        listeners: hear metrics and checkpoints, in this order.
        generator: all randomness of the run.
        augmentation: moves the images of each batch; None for none.
        device: where to run; by default the processor, in float32.
        guard: sends a run in trouble back, and stops a lost one; by default it only stops, at the
            optimisation's limit.
        log_every: steps between metrics.
        checkpoint_every: steps between checkpoints.
        on_step: looks at the state after every step, in every process, and leaves it as it is.

    Returns:
        The state, its last checkpoint kept.

    Raises:
        Diverged: where the loss is not finite, or explodes, and the guard's retries are spent.
        Interrupted: where a listener wanted to stop; the state is kept.
        Mistake: where there are more processes than images in a batch.
    """
    course = _Course(
        objective,
        Epochs(images, optimisation.batch_size, generator),
        optimisation,
        listeners,
        generator,
        augmentation or Augmentation(),
        device or Device(),
        guard or Guard(optimisation.loss_limit),
        log_every,
        checkpoint_every,
        on_step,
    )
    if course.guard.rules.retries and not state.trail:
        state.leave_trail()
    while True:
        try:
            return _descend(state, course)
        except Diverged as diverged:
            _go_back(state, course, diverged)


@dataclass(frozen=True)
class _Course:
    """All that stays as it is while a state is trained; see :func:`train`."""

    objective: Objective
    epochs: Epochs
    optimisation: Optimisation
    listeners: Sequence[Listener]
    generator: Generator
    augmentation: Augmentation
    device: Device
    guard: Guard
    log_every: int
    checkpoint_every: int
    on_step: Callable[[TrainingState], object]


def _go_back(state: TrainingState, course: _Course, diverged: Diverged) -> None:
    """Take the run back and keep it as it then is, so that a resumed run goes on from there."""
    try:
        event = roll_back(state, course.guard.rules, diverged, course.generator)
    except Diverged:
        for listener in course.listeners if state.processes.leads else ():
            listener.on_event(
                {"step": diverged.step, "event": "diverged", "reason": diverged.reason}
            )
        raise
    model = released(state, course.epochs, course.device)
    for listener in course.listeners:
        if state.processes.leads:
            listener.on_event(event)
        listener.on_checkpoint(state, model)


def _descend(state: TrainingState, course: _Course) -> TrainingState:
    """Take step after step until the last one, or trouble."""
    processes, epochs, listeners = state.processes, course.epochs, course.listeners
    optimisation, device, guard = course.optimisation, course.device, course.guard
    generator = course.generator
    rules, classes = guard.rules, int(epochs.images.labels.max()) + 1
    if state.watch.retries:  # the same draws might lead to the same end
        generator = generator.fold("retry", state.watch.retries)
    steps = optimisation.steps_in_all(epochs.steps_per_epoch)
    if epochs.batch_size < processes.world:
        raise Mistake(
            f"batches of {epochs.batch_size} images are too few for {processes.world} processes"
        )
    places = torch.arange(epochs.batch_size)[processes.share]  # in the joint batch
    places_there = places.to(device.name)
    weight = len(places) / epochs.batch_size
    loss_of = processes.loss(state.model, course.objective)
    parameters = list(state.model.parameters())
    began, logged = time.perf_counter(), state.step
    for step in range(state.step, steps):
        now = generator.fold(step)
        x, y = epochs.batch(step, processes.share)
        x = course.augmentation(x, now.fold("augment").at(places))
        batch = Batch(
            x.to(device.name, memory_format=torch.channels_last),
            y.to(device.name),
            step,
        )
        for group in state.optimiser.param_groups:
            group["lr"] = optimisation.learning_rate_at(step, steps) * state.watch.factor
        state.model.train()
        with device.autocast(), learning(state.model):
            loss = loss_of(batch, now.fold("objective").at(places_there))
        state.optimiser.zero_grad(set_to_none=True)
        # Gradients are averaged over processes, whose shares may differ by an image.
        (loss.value * (weight * processes.world)).backward()
        norm = torch.nn.utils.clip_grad_norm_(
            parameters, optimisation.clip_norm or float("inf"), foreach=True
        )
        terms = {"loss": loss.value.detach(), **loss.terms, "grad_norm": norm}
        numbers = guard.check(step, processes.mean(terms, weight))
        state.optimiser.step()
        state.step = step + 1
        state.update_average(optimisation.ema)
        course.on_step(state)
        last = state.step == steps
        stop = not last and processes.any(any(listener.wants_stop() for listener in listeners))
        log, due = (
            last or state.step % every == 0 for every in (course.log_every, course.checkpoint_every)
        )
        look = bool(rules.retries) and (state.step % rules.every == 0 or due)
        if rules.retries:
            state.watch.remember(numbers, rules.every)
        probed = {}
        if log or look:
            seen = probe(state.model, batch, state.buffer)
            mean = processes.mean({k: torch.tensor(v) for k, v in seen.items()}, weight)
            probed = {name: float(value) for name, value in mean.items()}
        if log:
            seconds = (time.perf_counter() - began) / (state.step - logged)
            numbers = probed | numbers
            numbers |= {
                "learning_rate": state.optimiser.param_groups[0]["lr"],
                "seconds_per_step": seconds,
            }
            state.metrics = numbers
            for listener in listeners if processes.leads else ():
                listener.on_metrics(state.step, numbers)
            began, logged = time.perf_counter(), state.step
        if look:
            guard.look(state.step, state.watch, probed, classes)
            if due:
                state.leave_trail()
        if due or stop:
            model = released(state, epochs, device)
            for listener in listeners:
                listener.on_checkpoint(state, model)
        if stop:
            raise Interrupted(state.step, steps)
    state.model.eval()
    return state


def released(state: TrainingState, epochs: Epochs, device: Device) -> JointEnergyModel:
    """Return the weights to use: a copy, its running statistics set on clean training images.

    Args:
        state: of the run.
        epochs: the training images.
        device: where to run.
    """
    model = copy.deepcopy(state.weights_to_use)
    clean = (batch.x.to(device.name) for batch in epochs.some(_CALIBRATION_BATCHES))
    recalibrate(model, clean)
    return model.eval()
