"""What many laws stand on: energies known in closed form, and very small networks."""

import pytest
import torch
from torch import nn

from jemstone.data import load
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.random import Generator

PIXELS = (1, 4, 4)
CLASSES = 3


@pytest.fixture(autouse=True)
def _seeded():
    """Weights are drawn from torch's own generator: the same ones in every run."""
    torch.manual_seed(0)


@pytest.fixture
def generator():
    return Generator(0)


class Quadratic:
    """E(x) = theta |x|^2 / 2, of which everything is known. It has no classes, and no modules."""

    def __init__(self, theta=1.0):
        self.theta = theta

    def logits(self, x):
        return -self.energy(x)[:, None]

    def energy(self, x, y=None):
        return self.theta * x.flatten(1).square().sum(dim=1) / 2


@pytest.fixture
def quadratic():
    return Quadratic


@pytest.fixture
def linear():
    """A classifier with a linear energy: grad E(x, y) = -W[y]."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS[1] * PIXELS[2], CLASSES))
    return JointEnergyModel(layers).double().eval()


class Split(nn.Module):
    def __init__(self, stem, rest):
        super().__init__()
        self.stem, self.rest = stem, rest

    def split(self):
        return self.stem, self.rest

    def forward(self, x):
        return self.rest(self.stem(x))


def _stem(kind):
    conv = nn.Conv2d(1, 4, kernel_size=3, padding=1)
    if kind == "bent":
        return nn.Sequential(conv, nn.Softplus())
    if kind == "hooked":
        stem = nn.Sequential(conv)
        stem.register_forward_hook(lambda layer, args, h: h.tanh())
        return stem
    return conv


@pytest.fixture
def smooth():
    """Smooth classifiers of `PIXELS`, float64 in eval mode, by the make of their stem."""

    def build(stem="conv"):
        rest = nn.Sequential(
            nn.Softplus(),
            nn.Conv2d(4, 4, kernel_size=3, padding=1),
            nn.Softplus(),
            nn.Flatten(),
            nn.Linear(4 * PIXELS[1] * PIXELS[2], CLASSES),
        )
        classifier = Split(_stem(stem), rest)
        if stem == "none":
            classifier = nn.Sequential(*classifier.stem.children(), classifier.stem, *rest)
        return JointEnergyModel(classifier, mean=0.4, std=0.25).double().eval()

    return build


@pytest.fixture
def normed():
    """A classifier of `PIXELS` with all that has a mode: batch norm and dropout."""
    stem = nn.Conv2d(1, 4, kernel_size=3, padding=1)
    rest = nn.Sequential(
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Dropout(0.3),
        nn.Conv2d(4, 4, kernel_size=3, padding=1),
        nn.BatchNorm2d(4, momentum=0.9),
        nn.Flatten(),
        nn.Linear(4 * PIXELS[1] * PIXELS[2], CLASSES),
    )
    model = JointEnergyModel(Split(stem, rest), mean=0.5, std=0.5)
    with torch.no_grad():
        model(torch.rand(16, *PIXELS))  # running statistics that are not those of any test's batch
    return model


@pytest.fixture
def wide():
    """The smallest wide ResNet, for `PIXELS`, float64 in eval mode, by its norm."""

    def build(norm="none"):
        model = JointEnergyModel(WideResNet(1, CLASSES, depth=10, width=1, norm=norm))
        with torch.no_grad():
            model(torch.rand(16, *PIXELS))
        return model.double().eval()

    return build


@pytest.fixture
def images(generator):
    """Eight images of `PIXELS` in [0, 1], float64."""
    return generator.fold("images").uniform((8, *PIXELS), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.arange(8) % CLASSES


@pytest.fixture
def traces():
    """Return all that a walk must leave as it was, in a form that `==` compares bit for bit."""

    def read(model):
        return {
            "training": [m.training for m in model.modules()],
            "tracking": [getattr(m, "track_running_stats", None) for m in model.modules()],
            "momentum": [getattr(m, "momentum", None) for m in model.modules()],
            "requires_grad": [p.requires_grad for p in model.parameters()],
            "grads": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
            "state": {name: value.tolist() for name, value in model.state_dict().items()},
        }

    return read


@pytest.fixture(scope="session")
def digits():
    """Load the digits: 1,437 to learn from, 360 held out."""
    return load("digits")


@pytest.fixture(scope="session")
def perceptron(digits):
    """A small classifier of digits, trained for a moment: neither robust nor broken."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(network(digits.train.x), digits.train.y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    optimiser.zero_grad()
    return JointEnergyModel(network).eval()
