"""Any classifier, read as an energy.

References:
    Grathwohl et al., "Your classifier is secretly an energy based model and you should treat it
    like one", 2020, https://arxiv.org/abs/1912.03263
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from jemstone.checkpoints import checkpoints
from jemstone.errors import Mistake, brief
from jemstone.files import read_json, read_tensors, write_json, write_tensors
from jemstone.functional.energies import logit_energy
from jemstone.nn import WideResNet, build, outline

__all__ = ["JointEnergyModel", "Normalise", "still"]

Model = TypeVar("Model")


class Normalise(nn.Module):
    """``(x - mean) / std``, channel by channel: an affine map, so it may be part of a stem."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(list(mean)).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).reshape(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class JointEnergyModel(nn.Module):
    r"""Read a classifier as an energy: :math:`E(x, y) = -f(x)[y]`.

    Then :math:`E(x) = -\log\sum_y \exp f(x)[y]`, :math:`p(y|x) = \mathrm{softmax} f(x)` and
    :math:`p(x) \propto \exp(-E(x))`. Pixels are in [0, 1] outside; the normalisation that the
    classifier was trained with lives inside.

    >>> model = JointEnergyModel(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)))
    >>> x = torch.rand(2, 3, 2, 2)
    >>> energies = torch.stack([model.energy(x, torch.full((2,), k)) for k in range(5)], dim=1)
    >>> bool(torch.allclose(torch.softmax(-energies, dim=1), model.predict(x)))
    True

    References:
        Grathwohl et al., 2020, https://arxiv.org/abs/1912.03263

    Args:
        classifier: :math:`f`, images (B, C, H, W) to logits (B, K). If it has a method
            ``split() -> (stem, rest)``, PYLD uses that stem.
        mean: what the classifier's normalisation subtracts, one number a channel, or one for
            all; none by default.
        std: what it divides by.

    Raises:
        Mistake: for a ``std`` that is not above zero.
    """

    def __init__(
        self,
        classifier: nn.Module,
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.normalise: nn.Module = nn.Identity()
        if mean is not None or std is not None:
            if not all(number > 0 for number in _channels(std, 1.0)):
                raise Mistake(f"std is above zero, unlike some of {std}")
            self.normalise = Normalise(_channels(mean, 0.0), _channels(std, 1.0))

    def logits(self, x: Tensor) -> Tensor:
        """Return :math:`f(x)`, (B, K), in the precision of ``x``.

        Args:
            x: images (B, C, H, W) in [0, 1].
        """
        logits: Tensor = self.classifier(self.normalise(x))
        return logits.to(x.dtype)

    forward = logits

    def energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return :math:`E(x, y)`, or :math:`E(x)` where no label is given, (B,).

        Args:
            x: images (B, C, H, W) in [0, 1].
            y: labels, int64 (B,).
        """
        return logit_energy(self.logits(x), y)

    def predict(self, x: Tensor) -> Tensor:
        """Return :math:`p(y|x)`, (B, K).

        Args:
            x: images (B, C, H, W) in [0, 1].
        """
        return self.logits(x).softmax(dim=-1)

    def split(self) -> tuple[nn.Module, JointEnergyModel]:
        """Return the stem, normalisation included, and the energy model that reads its output.

        A classifier without a ``split`` of its own has its normalisation as stem, so any
        classifier can be walked by PYLD.
        """
        split = getattr(self.classifier, "split", None)
        stem, rest = split() if callable(split) else (nn.Identity(), self.classifier)
        return nn.Sequential(self.normalise, stem), JointEnergyModel(rest)

    def frozen(self, mode: str, x: Tensor) -> JointEnergyModel:
        """Return the energy as a walk reads it: while the walk lasts, its weights stand still.

        Energies and their gradients at images are the model's own, up to rounding; parameters get
        no gradient. What is not faster so is returned as it is; see
        :meth:`jemstone.nn.WideResNet.frozen`. The weights are shared, and must not move meanwhile.

        Args:
            mode: of the walk, ``eval`` or ``batch``.
            x: images that it starts from (B, C, H, W).
        """
        if type(self) is not JointEnergyModel or not isinstance(self.classifier, WideResNet):
            return self
        classifier = self.classifier.frozen(mode, x)
        if classifier is None:
            return self
        model = JointEnergyModel(classifier)
        model.normalise = self.normalise
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` and ``config.json``.

        Args:
            folder: made if absent.
        """
        folder = Path(folder)
        write_tensors(folder / "model.safetensors", self.state_dict())
        write_json(folder / "config.json", self.config)

    @property
    def config(self) -> dict[str, Any]:
        """What :meth:`from_pretrained` needs beside the weights."""
        config: dict[str, Any] = {
            "architecture": getattr(self.classifier, "architecture", None),
            "arguments": getattr(self.classifier, "config", None),
            "mean": None,
            "std": None,
        }
        if isinstance(self.normalise, Normalise):
            config["mean"] = self.normalise.mean.flatten().tolist()
            config["std"] = self.normalise.std.flatten().tolist()
        return config

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, classifier: nn.Module | None = None
    ) -> JointEnergyModel:
        """Load a model from a folder, or from the ``checkpoint/`` of a run's folder.

        Only tensors and JSON are read, and only registered architectures are built.

        Args:
            folder: a run's folder, or one that :meth:`save_pretrained` wrote.
            classifier: the network to fill, where it is not a registered architecture.

        Raises:
            Mistake: where files are missing or broken, or do not fit the network.
        """
        folder = Path(folder)
        if not os.path.isdir(folder):
            raise Mistake(f"{folder} is not a folder with a model: name a run's folder")
        folder = next(iter(reversed(checkpoints(folder))), folder)
        config = read_json(folder / "config.json")
        try:
            if classifier is None and config["architecture"] is None:
                raise Mistake(f"{folder} holds the weights of your own network: pass classifier=")
            tensors = read_tensors(folder / "model.safetensors")
            if classifier is None:
                # Held to the weights before it gets memory of its own.
                like = outline(config["architecture"], config["arguments"])
                _check_shapes(like, tensors)
                _check_normalisation(config, config["arguments"]["channels"])
                classifier = build(config["architecture"], config["arguments"])
            model = cls(classifier, config["mean"], config["std"])
            model.load_state_dict(tensors)
        except Mistake:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise Mistake(
                f"{folder} does not hold a model of that shape: {brief(error)}"
            ) from error
        return model.eval()


def still(model: Model, mode: str, x: Tensor) -> Model | JointEnergyModel:
    """Return a model as a walk reads it, see :meth:`JointEnergyModel.frozen`; others as they are.

    Args:
        model: any energy or classifier.
        mode: of the walk, ``eval`` or ``batch``.
        x: images that it starts from (B, C, H, W).
    """
    return model.frozen(mode, x) if isinstance(model, JointEnergyModel) else model


def _check_shapes(classifier: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those of the network.

    Raises:
        Mistake: naming the first that differs.
    """
    for name, like in classifier.state_dict().items():
        found = tensors.get(f"classifier.{name}")
        if found is None:
            raise Mistake(f"the weights lack classifier.{name}, which the configuration asks for")
        if found.shape != like.shape:
            raise Mistake(
                f"the weights' classifier.{name} is {tuple(found.shape)}, the configuration "
                f"asks for {tuple(like.shape)}"
            )


def _check_normalisation(config: Mapping[str, Any], channels: int) -> None:
    """Refuse a normalisation that is not one number, or one for each channel, std above zero.

    Raises:
        Mistake: naming which.
    """
    for name in ("mean", "std"):
        numbers = config[name]
        if numbers is None:
            continue
        numbers = numbers if isinstance(numbers, list) else [numbers]
        plain = all(type(number) in (int, float) for number in numbers)
        if not plain or len(numbers) not in (1, channels):
            raise Mistake(f"the configuration's {name} is not one number for each channel")
        if name == "std" and min(numbers) <= 0:
            raise Mistake("the configuration's std is not above zero")


def _channels(numbers: Sequence[float] | float | None, default: float) -> Sequence[float]:
    if numbers is None:
        return [default]
    return [numbers] if isinstance(numbers, int | float) else numbers
