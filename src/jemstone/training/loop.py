"""The one training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from jemstone.data import Augmentation, Epochs, Images
from jemstone.errors import Mistake
from jemstone.model import JointEnergyModel
from jemstone.nn.modes import learning, recalibrate
from jemstone.training.device import Device
from jemstone.training.guard import Diverged, Guard
from jemstone.training.listeners import Interrupted, Listener
from jemstone.training.optimisation import Optimisation
from jemstone.training.probe import probe
from jemstone.training.recovery import roll_back
from jemstone.training.state import TrainingState
from jemstone.types import Batch, Generator, Objective

__all__ = ["released", "train"]

_CALIBRATION_BATCHES = 50


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
            return _Descent(state, course).run()
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


class _Descent:
    """Step after step from where a state is, until the last one or trouble.

    Args:
        state: what is trained, in place.
        course: all else.

    Raises:
        Mistake: where there are more processes than images in a batch.
    """

    def __init__(self, state: TrainingState, course: _Course) -> None:
        self.state, self.course = state, course
        self.generator = course.generator
        if state.watch.retries:  # the same draws might lead to the same end
            self.generator = self.generator.fold("retry", state.watch.retries)
        size, processes = course.epochs.batch_size, state.processes
        if size < processes.world:
            raise Mistake(f"batches of {size} images are too few for {processes.world} processes")
        self.steps = course.optimisation.steps_in_all(course.epochs.steps_per_epoch)
        self.places = torch.arange(size)[processes.share]  # in the joint batch
        self.places_there = self.places.to(course.device.name)
        self.weight = len(self.places) / size
        self.loss_of = processes.loss(state.model, course.objective)
        self.parameters = list(state.model.parameters())
        self.began, self.logged = time.perf_counter(), state.step

    def run(self) -> TrainingState:
        """Descend to the last step."""
        state, course = self.state, self.course
        for step in range(state.step, self.steps):
            batch, numbers = self._learn(step)
            course.on_step(state)
            last = state.step == self.steps
            stop = not last and state.processes.any(
                any(listener.wants_stop() for listener in course.listeners)
            )
            log, due = (
                last or state.step % every == 0
                for every in (course.log_every, course.checkpoint_every)
            )
            self._look(batch, numbers, log, due)
            if due or stop:
                model = released(state, course.epochs, course.device)
                for listener in course.listeners:
                    listener.on_checkpoint(state, model)
            if stop:
                raise Interrupted(state.step, self.steps)
        state.model.eval()
        return state

    def _batch(self, step: int, generator: Generator) -> Batch:
        """Return this process's share of a step's images, augmented, where training runs."""
        course = self.course
        x, y = course.epochs.batch(step, self.state.processes.share)
        x = course.augmentation(x, generator.fold("augment").at(self.places))
        x = x.to(course.device.name, memory_format=torch.channels_last)
        return Batch(x, y.to(course.device.name), step)

    def _learn(self, step: int) -> tuple[Batch, dict[str, float]]:
        """Move the weights once; return on what, and the terms of the loss over all processes."""
        state, course, generator = self.state, self.course, self.generator.fold(step)
        batch, optimisation = self._batch(step, generator), course.optimisation
        for group in state.optimiser.param_groups:
            group["lr"] = optimisation.learning_rate_at(step, self.steps) * state.watch.factor
        state.model.train()
        with course.device.autocast(), learning(state.model):
            loss = self.loss_of(batch, generator.fold("objective").at(self.places_there))
        state.optimiser.zero_grad(set_to_none=True)
        # Gradients are averaged over processes, whose shares may differ by an image.
        (loss.value * (self.weight * state.processes.world)).backward()
        limit = optimisation.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit)
        terms = {"loss": loss.value.detach(), **loss.terms, "grad_norm": norm}
        numbers = course.guard.check(step, state.processes.mean(terms, self.weight))
        state.optimiser.step()
        state.step = step + 1
        state.update_average(optimisation.ema)
        return batch, numbers

    def _look(self, batch: Batch, numbers: dict[str, float], log: bool, due: bool) -> None:
        """Tell the numbers where they are logged, and let the guard look where it does."""
        state, rules = self.state, self.course.guard.rules
        guarded = bool(rules.retries) and (state.step % rules.every == 0 or due)
        if rules.retries:
            state.watch.remember(numbers, rules.every)
        probed = {}
        if log or guarded:
            seen = probe(state.model, batch, state.buffer)
            tensors = {name: torch.tensor(value) for name, value in seen.items()}
            mean = state.processes.mean(tensors, self.weight)
            probed = {name: float(value) for name, value in mean.items()}
        if log:
            self._tell(probed | numbers)
        if guarded:
            classes = int(self.course.epochs.images.labels.max()) + 1
            self.course.guard.look(state.step, state.watch, probed, classes)
            if due:
                state.leave_trail()

    def _tell(self, numbers: dict[str, float]) -> None:
        """Let the listeners of the first process hear the numbers of a step."""
        state, now = self.state, time.perf_counter()
        state.metrics = numbers | {
            "learning_rate": state.optimiser.param_groups[0]["lr"],
            "seconds_per_step": (now - self.began) / (state.step - self.logged),
        }
        for listener in self.course.listeners if state.processes.leads else ():
            listener.on_metrics(state.step, state.metrics)
        self.began, self.logged = time.perf_counter(), state.step


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
