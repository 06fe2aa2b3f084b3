"""The judge: a plain classifier whose features say how real an image looks.

Figures from a judge compare with each other, not with those of papers, which use Inception. A
judge is trained once on a data set, is of another family and seed than the models it judges, and
its name stands beside every figure that it gives.
"""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jemstone.data import Augmentation, DataSet, fingerprint
from jemstone.errors import Mistake
from jemstone.files import read_json, write_json
from jemstone.metrics import accuracy
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet
from jemstone.objectives import CrossEntropy
from jemstone.training import Listener, Optimisation, TrainingState, train
from jemstone.types import Generator

__all__ = ["Judge", "cache_folder", "judge_for"]

_SEED = 20220718  # far from the seeds that people give their runs
_WIDTH = 32
_BATCH = 64
_STEPS = 1200  # or these epochs, whichever is more
_EPOCHS = 5
_NOISE = 0.02


@dataclass(frozen=True)
class Judge:
    """A trained classifier, used as an eye.

    Args:
        name: of its architecture, its data and its weights.
        model: whose classifier has ``features`` and ``linear``.
        accuracy: on held-out images.
    """

    name: str
    model: JointEnergyModel
    accuracy: float

    @torch.no_grad()
    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [0, 1] to features (B, D) and logits (B, K)."""
        network = self.model.classifier
        assert isinstance(network, ConvNet)
        features = network.features(self.model.normalise(x))
        return features, network.linear(features)


def cache_folder() -> Path:
    """Return where judges are kept: ``JEMSTONE_CACHE``, or ``~/.cache/jemstone``."""
    return Path(os.environ.get("JEMSTONE_CACHE") or Path.home() / ".cache" / "jemstone")


def judge_for(data: DataSet, cache: Path | None = None, *listeners: Listener) -> Judge:
    """Return the judge of a data set, trained now if it is not in the cache.

    Args:
        data: whose training images it learns.
        cache: folder of judges; by default :func:`cache_folder`.
        listeners: hear of its training.
    """
    settings = f"convnet-{_WIDTH} {_STEPS} {_EPOCHS} {_NOISE} {_SEED}"
    key = hashlib.sha256(settings.encode()).hexdigest()[:8]
    folder = (cache or cache_folder()) / "judges" / f"{data.name}-{fingerprint(data)}-{key}"
    try:
        return _read(folder, data.name)
    except (Mistake, KeyError, TypeError, ValueError):
        pass  # absent, or cut short while it was written: train it
    model = _trained(data, *listeners)
    model.save_pretrained(folder)
    # Judged as it is read back, so that its figures are those of every later use.
    judged = accuracy(JointEnergyModel.from_pretrained(folder), data.test)
    write_json(folder / "judge.json", {"accuracy": judged})
    return _read(folder, data.name)


def _read(folder: Path, data: str) -> Judge:
    """Read a judge; its name tells its weights from those of any other."""
    weights = (folder / "model.safetensors").read_bytes() if folder.is_dir() else b""
    name = f"convnet-{_WIDTH}:{data}:{hashlib.sha256(weights).hexdigest()[:8]}"
    model = JointEnergyModel.from_pretrained(folder)
    return Judge(name, model, float(read_json(folder / "judge.json")["accuracy"]))


class _Last:
    """Remember the released weights."""

    model: JointEnergyModel

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        pass

    def on_event(self, event: dict[str, Any]) -> None:
        pass

    def on_checkpoint(self, state: TrainingState, model: JointEnergyModel) -> None:
        self.model = model

    def wants_stop(self) -> bool:
        return False


def _trained(data: DataSet, *listeners: Listener) -> JointEnergyModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        classifier = ConvNet(data.shape[0], len(data.classes), _WIDTH)
    model = JointEnergyModel(classifier, mean=0.5, std=0.5).to(memory_format=torch.channels_last)
    steps = max(_STEPS, math.ceil(_EPOCHS * len(data.train) / _BATCH))
    optimisation = Optimisation(
        learning_rate=0.05,
        weight_decay=5e-4,
        batch_size=_BATCH,
        steps=steps,
        warmup=50,
        schedule="cosine",
    )
    last = _Last()
    train(
        TrainingState(model, optimisation.build(model)),
        CrossEntropy(_NOISE),
        data.train,
        optimisation,
        (last, *listeners),
        Generator(_SEED),
        augmentation=Augmentation(padding=max(1, data.shape[1] // 8), flip=data.flip),
        checkpoint_every=steps,
    )
    return last.model
