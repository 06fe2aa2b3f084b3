"""How a judge learns: a plain classifier, of another family and seed than the models it judges."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from jemstone.data import Augmentation, DataSet
from jemstone.model import JointEnergyModel
from jemstone.nn import PlainNet
from jemstone.nn.modes import evaluating
from jemstone.objectives import CrossEntropy
from jemstone.training import Device, Listener, Optimisation, Quiet, TrainingState, train
from jemstone.types import Generator

__all__ = ["SEED", "Schooling"]

SEED = 20220718  # far from the seeds that people give their runs
_LOOKED_AT = 5000 * 32**2  # pixels that a stem is whitened by
_PASSES = 3  # a step's, in forward passes: a backward one costs two


@dataclass(frozen=True)
class Schooling:
    """A network, and all that its training is made of.

    Args:
        network: built from the channels and classes of the data.
        std: what pixels are divided by, 0.5 being subtracted.
        batch_size: B.
        steps: of training, or the epochs, whichever is more.
        epochs: passes over the training images.
        learning_rate: the highest, of SGD with momentum 0.9 and a cosine schedule.
        warmup: steps in which it rises.
        noise: of the data, in [0, 1] pixels.
        smoothing: of the labels.
        margin: images are moved by up to a side over this many pixels.
    """

    network: Callable[[int, int], nn.Module]
    std: float
    batch_size: int
    steps: int
    epochs: int
    learning_rate: float
    warmup: int
    noise: float
    smoothing: float
    margin: int

    def steps_for(self, data: DataSet) -> int:
        """Return the steps of training on this data."""
        return max(self.steps, math.ceil(self.epochs * len(data.train) / self.batch_size))

    def begin(self, data: DataSet) -> JointEnergyModel:
        """Return the network before its first step: its weights depend on the data's shape alone.

        A stem that whitens is set by training images from all over the set.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            classifier = self.network(data.shape[0], len(data.classes))
        model = JointEnergyModel(classifier, mean=0.5, std=self.std)
        if isinstance(classifier, PlainNet):
            count = max(1, min(len(data.train), _LOOKED_AT // math.prod(data.shape[1:])))
            places = torch.arange(count) * len(data.train) // count
            classifier.whiten(model.normalise(data.train.take(places).x))
        return model.to(memory_format=torch.channels_last)

    def seconds(self, model: JointEnergyModel, data: DataSet, device: Device) -> float:
        """Estimate what the training will take, by a few forward passes; the model stays as it is.

        Args:
            model: the network, on the processor.
            data: to learn from.
            device: where it will be trained.
        """
        x = data.train.take(torch.arange(min(self.batch_size, len(data.train)))).x
        x = x.to(device.name, memory_format=torch.channels_last)
        model = model.to(device.name)
        times = []
        with evaluating(model), torch.no_grad(), device.autocast():
            for _ in range(3):
                began = time.perf_counter()
                float(model.logits(x).sum())  # waits for the device
                times.append(time.perf_counter() - began)
        model.to("cpu")
        return _PASSES * min(times) * self.steps_for(data)

    def train(
        self, model: JointEnergyModel, data: DataSet, device: Device, *listeners: Listener
    ) -> JointEnergyModel:
        """Train the network, and return it with its running statistics set, on the processor.

        Args:
            model: as :meth:`begin` returns it.
            data: whose training images it learns.
            device: where, and in which precision.
            listeners: hear of it.
        """
        steps = self.steps_for(data)
        optimisation = Optimisation(
            learning_rate=self.learning_rate,
            weight_decay=5e-4,
            batch_size=self.batch_size,
            steps=steps,
            warmup=self.warmup,
            schedule="cosine",
        )
        last, model = _Last(), model.to(device.name)
        moved = max(1, min(data.shape[1:]) // self.margin)
        train(
            TrainingState(model, optimisation.build(model)),
            CrossEntropy(self.noise, self.smoothing),
            data.train,
            optimisation,
            (last, *listeners),
            Generator(SEED),
            augmentation=Augmentation(min(moved, min(data.shape[1:]) - 1), data.flip),
            device=device,
            checkpoint_every=steps,
        )
        return last.model.to("cpu")


class _Last(Quiet):
    """Remember the released weights."""

    model: JointEnergyModel

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        self.model = model
