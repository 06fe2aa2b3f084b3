"""The one training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Protocol

import torch

from jemstone.data import Augmentation, Epochs, Images
from jemstone.functional.energies import grad_x, marginal, marginal_energy
from jemstone.model import JointEnergyModel
from jemstone.nn.modes import evaluating, recalibrate
from jemstone.training.device import Device
from jemstone.training.guard import Guard
from jemstone.training.optimisation import Optimisation
from jemstone.training.state import TrainingState
from jemstone.types import Batch, Generator, Objective

__all__ = ["Interrupted", "Listener", "released", "train"]

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
        """Hear the numbers of a step."""
        ...

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        """Keep the state, and the weights to use."""
        ...

    def wants_stop(self) -> bool:
        """Tell whether the run shall be saved and left at the end of this step."""
        ...


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
) -> TrainingState:
    """Descend an objective, from the state's step to the last.

    Args:
        state: what is trained, here in place.
        objective: the loss of a batch.
        images: to learn from.
        optimisation: optimiser and schedule.
        listeners: hear metrics and checkpoints, in this order.
        generator: all randomness of the run.
        augmentation: moves the images of each batch; None for none.
        device: where to run; by default the processor, in float32.
        guard: stops a lost run; by default at the optimisation's limit.
        log_every: steps between metrics.
        checkpoint_every: steps between checkpoints.

    Returns:
        The state, its last checkpoint kept.

    Raises:
        Diverged: where the loss is not finite, or explodes.
        Interrupted: where a listener wanted to stop; the state is kept.
    """
    augmentation = augmentation or Augmentation()
    device = device or Device()
    guard = guard or Guard(optimisation.loss_limit)
    epochs = Epochs(images, optimisation.batch_size, generator)
    steps = optimisation.steps_in_all(epochs.steps_per_epoch)
    parameters = list(state.model.parameters())
    began, logged = time.perf_counter(), state.step
    for step in range(state.step, steps):
        now = generator.fold(step)
        batch = epochs.batch(step)
        batch = Batch(augmentation(batch.x, now.fold("augment")), batch.y)
        batch = Batch(
            batch.x.to(device.name, memory_format=torch.channels_last), batch.y.to(device.name)
        )
        for group in state.optimiser.param_groups:
            group["lr"] = optimisation.learning_rate_at(step, steps)
        state.model.train()
        with device.autocast():
            loss = objective(state.model, batch, now.fold("objective"))
        state.optimiser.zero_grad(set_to_none=True)
        loss.value.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            parameters, optimisation.clip_norm or float("inf"), foreach=True
        )
        numbers = guard.check(step, {"loss": loss.value.detach(), **loss.terms, "grad_norm": norm})
        state.optimiser.step()
        state.step = step + 1
        state.update_average(optimisation.ema)
        last = state.step == steps
        stop = not last and any(listener.wants_stop() for listener in listeners)
        if state.step % log_every == 0 or last:
            seconds = (time.perf_counter() - began) / (state.step - logged)
            numbers = _probe(state.model, batch) | numbers
            numbers |= {
                "learning_rate": state.optimiser.param_groups[0]["lr"],
                "seconds_per_step": seconds,
            }
            state.metrics = numbers
            for listener in listeners:
                listener.on_metrics(state.step, numbers)
            began, logged = time.perf_counter(), state.step
        if state.step % checkpoint_every == 0 or last or stop:
            model = released(state, epochs, device)
            for listener in listeners:
                listener.on_checkpoint(state, model)
        if stop:
            raise Interrupted(state.step, steps)
    state.model.eval()
    return state


def _probe(model: JointEnergyModel, batch: Batch) -> dict[str, float]:
    r"""Look at the clean batch in eval mode: accuracy, :math:`E(x)`, :math:`\|\nabla_x E(x)\|`."""
    with evaluating(model):
        with torch.no_grad():
            logits = model.logits(batch.x)
        g = grad_x(marginal, model, batch.x)
    return {
        "accuracy": float((logits.argmax(dim=-1) == batch.y).float().mean()),
        "energy_data": float(marginal_energy(logits).mean()),
        "input_grad_norm": float(g.flatten(1).norm(dim=1).mean()),
    }


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
