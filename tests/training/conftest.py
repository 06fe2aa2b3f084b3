"""A run small enough to be trained in a test: eight-by-eight stripes of three classes."""

from types import SimpleNamespace

import pytest
import torch

from jemstone.data import Augmentation, Images
from jemstone.functional.balls import Linf
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.objectives import AdversarialCrossEntropy, CrossEntropy, MaximumLikelihood, Sum
from jemstone.random import Generator
from jemstone.samplers import PGD, PYLD, Persistent, ReplayBuffer, Uniform
from jemstone.training import Optimisation, TrainingState, train

SHAPE = (1, 8, 8)
CLASSES = 3


class Listener:
    """Hears everything; keeps checkpoints in `run`; asks to stop after `stop` steps."""

    def __init__(self, run=None, stop=None):
        self.run, self.stop, self.asked = run, stop, 0
        self.metrics, self.checkpoints, self.models, self.events = {}, [], [], []

    def on_metrics(self, step, metrics):
        self.metrics[step] = metrics

    def on_event(self, event):
        self.events.append(event)

    def on_checkpoint(self, state, model):
        self.checkpoints.append(state.step)
        self.models.append({k: v.clone() for k, v in model.state_dict().items()})
        if self.run is not None:
            state.save(self.run / "checkpoint", model)

    def wants_stop(self):
        self.asked += 1
        return self.asked == self.stop


@pytest.fixture
def listener():
    return Listener


@pytest.fixture
def stripes():
    labels = torch.arange(40) % CLASSES
    pixels = 80 * ((torch.arange(8) + labels[:, None]) % CLASSES)
    noise = Generator(9).fold("noise").integers(40 * 64, 40).reshape(40, *SHAPE)
    return Images((pixels[:, None, None] + noise).to(torch.uint8), labels)


@pytest.fixture
def robust_jem(stripes):
    """Build a run with all that has a state: norm, optimiser, average, chains; and all noise."""

    def build(norm="none", optimiser="sgd", weights_seed=0, ema=0.9, **options):
        torch.manual_seed(weights_seed)
        network = WideResNet(1, CLASSES, depth=10, width=1, norm=norm)
        model = JointEnergyModel(network, 0.5, 0.5).to(memory_format=torch.channels_last)
        optimisation = Optimisation(
            **{
                "optimiser": optimiser,
                "learning_rate": 0.01,
                "batch_size": 8,
                "steps": 6,
                "warmup": 2,
                "schedule": "cosine",
                "weight_decay": 1e-3,
                "clip_norm": 1.0,
                "ema": ema,
            }
            | options
        )
        buffer = ReplayBuffer(Uniform(SHAPE), 30, CLASSES, 0.1, Generator(weights_seed + 7))
        walk = PYLD(2, 2, 0.05, 0.01, clip=2.0, mode="batch")
        objective = Sum(
            (1.0, CrossEntropy(0.02)),
            (0.5, AdversarialCrossEntropy(PGD(Linf(0.1), 1, 0.1, random_start=True))),
            (1.0, MaximumLikelihood(Persistent(buffer, walk), CLASSES, noise=0.02)),
        )
        state = TrainingState(model, optimisation.build(model), buffer)

        def go(*listeners, log_every=1, checkpoint_every=3, objective=objective, **more):
            return train(
                state,
                objective,
                stripes,
                optimisation,
                listeners,
                Generator(5),
                augmentation=Augmentation(padding=1, flip=True),
                log_every=log_every,
                checkpoint_every=checkpoint_every,
                **more,
            )

        return SimpleNamespace(state=state, train=go, objective=objective)

    return build


@pytest.fixture
def remembered():
    """Return all that a training state must remember, as tensors by name."""

    def read(state):
        tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
        if state.average is not None:
            tensors |= {f"average.{k}": v for k, v in state.average.state_dict().items()}
        for number, slots in state.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": torch.as_tensor(v) for k, v in slots.items()}
        if state.buffer is not None:
            tensors["chains"] = state.buffer.images
        return {k: v.clone() for k, v in tensors.items()}

    return read
