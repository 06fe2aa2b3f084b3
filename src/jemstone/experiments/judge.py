"""The judge: a plain classifier whose features say how real an image looks.

Figures from a judge compare with each other, not with those of papers, which use Inception. A
judge is trained once on a data set, or given by file so that others judge with the very same one;
its name, which ends with a digest of its weights, stands beside every figure that it gives.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from jemstone.data import DataSet, cache_folder, fingerprint
from jemstone.errors import Mistake, brief
from jemstone.experiments.schooling import SEED, Schooling
from jemstone.files import read_json, read_tensors, sha256_of, write_json, write_tensors
from jemstone.metrics import accuracy
from jemstone.model import JointEnergyModel
from jemstone.nn import ConvNet, PlainNet
from jemstone.training import Device, Listener, Quiet, choose_device

__all__ = ["Judge", "judge_for", "judge_from"]

_WIDTH = 32
_BATCH = 64
_STEPS = 1200  # or the epochs, whichever is more
_EPOCHS = 5
_NOISE = 0.02

_PLAIN_SIDE = 16  # pixels; smaller images are for the ConvNet
_PLAIN_EPOCHS = {1: 3, 3: 10}  # by channels: strokes are learnt sooner than photographs
_SAID = 10  # lines in the course of a training


@dataclass(frozen=True)
class Judge:
    """A trained classifier, used as an eye.

    Args:
        name: of its architecture, its data and its weights.
        model: whose classifier has ``features`` and ``linear``.
        accuracy: on held-out images.
        sha256: of the file of its weights.
    """

    name: str
    model: JointEnergyModel
    accuracy: float
    sha256: str = ""
    knows_classes: ClassVar[bool] = True

    @torch.no_grad()
    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (B, C, H, W) in [0, 1] to features (B, D) and logits (B, K)."""
        network = self.model.classifier
        assert isinstance(network, ConvNet | PlainNet)
        features = network.features(self.model.normalise(x))
        return features, network.linear(features)


def judge_for(
    data: DataSet,
    cache: Path | None = None,
    *listeners: Listener,
    device: Device | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Judge:
    """Return the judge of a data set, trained now if it is not in the cache.

    Args:
        data: whose training images it learns.
        cache: folder of judges; by default :func:`jemstone.data.cache_folder`.
        listeners: hear of its training.
        device: where to train, in bf16 if it can; by default the fastest there is. The ConvNet
            of small images is trained on the processor in float32 wherever it is.
        progress: hears that a judge is trained, and what it will cost.
    """
    if min(data.shape[1:]) < _PLAIN_SIDE:
        schooling, device = _small(), Device()
        settings = f"convnet-{_WIDTH} {_STEPS} {_EPOCHS} {_NOISE} {SEED}"
    else:
        schooling = _plain(data.shape[0])
        device = choose_device(device.name if device else "auto")
        settings = f"{schooling} {SEED}"
    key = hashlib.sha256(settings.encode()).hexdigest()[:8]
    folder = (cache or cache_folder()) / "judges" / f"{data.name}-{fingerprint(data)}-{key}"
    try:
        return _read(folder, data.name)
    except (Mistake, KeyError, TypeError, ValueError):
        pass  # absent, or cut short while it was written: train it
    model = schooling.begin(data)
    steps, minutes = schooling.steps_for(data), schooling.seconds(model, data, device) / 60
    progress(
        f"no judge of {data.name} is here yet: training one, once: {steps:,} steps of "
        f"{schooling.batch_size} images, about {minutes:.1f} min on {device}"
    )
    began = time.perf_counter()
    model = schooling.train(model, data, device, _Teller(steps, progress), *listeners)
    seconds = time.perf_counter() - began
    write_tensors(folder / "model.safetensors", _rounded(model))
    write_json(folder / "config.json", model.config)
    # Judged as it is read back, so that its figures are those of every later use.
    judged = accuracy(JointEnergyModel.from_pretrained(folder), data.test)
    about = {"accuracy": judged, "seconds": seconds, "threads": torch.get_num_threads()}
    write_json(folder / "judge.json", about | {"device": str(device)})
    judge = _read(folder, data.name)
    progress(f"{judge.name}: {judged:.1%} accurate, kept in {folder}")
    return judge


def judge_from(path: Path, data: DataSet) -> Judge:
    """Return a judge by the file of its weights: a cached judge's, or a released one.

    Args:
        path: of the safetensors file; what network it holds is read off the shapes.
        data: that it shall judge, and is asked about once to know its accuracy.

    Raises:
        Mistake: where the file is missing, damaged, no judge's, or one of other images.
    """
    tensors = read_tensors(path)
    try:
        weights = {name.removeprefix("classifier."): value for name, value in tensors.items()}
        with torch.device("meta"):  # no memory of its own: the file's tensors become its weights
            network = (PlainNet if "stem.weight" in weights else ConvNet).fitting(weights)
            model = JointEnergyModel(network, mean=0.5, std=0.5)
        model.load_state_dict(tensors, assign=True)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise Mistake(f"{path} holds no judge's weights: {brief(error)}") from error
    known = (network.config["channels"], network.config["classes"])
    if known != (data.shape[0], len(data.classes)):
        raise Mistake(
            f"{path} judges {known[1]} classes of images of {known[0]} channels, {data.name} has "
            f"{len(data.classes)} of {data.shape[0]}: name a judge of that data"
        )
    model = model.float().eval()
    try:
        right = accuracy(model, data.test)
    except RuntimeError as error:  # of a layer that has no pixels left
        size = " x ".join(map(str, data.shape[1:]))
        raise Mistake(f"{path} judges larger images than {size}, those of {data.name}") from error
    return _named(model, data.name, path, right)


def _small() -> Schooling:
    """Return how the ConvNet of small images learns: that of the digits' figures."""
    return Schooling(
        network=lambda channels, classes: ConvNet(channels, classes, _WIDTH),
        std=0.5,
        batch_size=_BATCH,
        steps=_STEPS,
        epochs=_EPOCHS,
        learning_rate=0.05,
        warmup=50,
        noise=_NOISE,
        smoothing=0.0,
        margin=8,
    )


def _plain(channels: int) -> Schooling:
    """Return how the network of 16x16 images and larger ones learns."""
    return Schooling(
        network=PlainNet,
        std=0.25,
        batch_size=128,
        steps=_STEPS,
        epochs=_PLAIN_EPOCHS.get(channels, max(_PLAIN_EPOCHS.values())),
        learning_rate=0.15,
        warmup=400,
        noise=0.0,
        smoothing=0.1,
        margin=16,
    )


def _rounded(model: JointEnergyModel) -> Mapping[str, Tensor]:
    """Return the weights to keep: a plain network's matrices in float16, half as large.

    What is kept is what judges, here and wherever the file is sent. Vectors stay as they are: the
    statistics of a norm may lie outside of float16's range.
    """
    weights = model.state_dict()
    if isinstance(model.classifier, ConvNet):
        return weights
    return {name: value.half() if value.dim() > 1 else value for name, value in weights.items()}


def _read(folder: Path, data: str) -> Judge:
    """Read a judge from the cache."""
    model = JointEnergyModel.from_pretrained(folder)
    judged = float(read_json(folder / "judge.json")["accuracy"])
    return _named(model, data, folder / "model.safetensors", judged)


def _named(model: JointEnergyModel, data: str, path: Path, judged: float) -> Judge:
    """Name a judge, so that its weights are told from those of any other."""
    config, kind = model.config["arguments"], model.config["architecture"]
    widths = "-".join(str(width) for width in config.get("widths") or [config["width"]])
    digest = sha256_of(path)
    return Judge(f"{kind}-{widths}:{data}:{digest[:8]}", model, judged, digest)


class _Teller(Quiet):
    """Say now and then where a training is."""

    def __init__(self, steps: int, progress: Callable[[str], None]) -> None:
        self.steps = steps
        self.progress = progress
        self.told = 0

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if step * _SAID // self.steps > self.told:
            self.told = step * _SAID // self.steps
            left = (self.steps - step) * metrics["seconds_per_step"] / 60
            self.progress(f"the judge: step {step:,} of {self.steps:,}, {left:.1f} min left")
