"""Networks, and the modes they run in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jemstone.errors import Mistake, brief, unknown
from jemstone.memory import refuse_beyond_memory
from jemstone.nn.mlp import MLP
from jemstone.nn.plain import PlainNet
from jemstone.nn.small import ConvNet
from jemstone.nn.wide_resnet import WideResNet

__all__ = ["ARCHITECTURES", "MLP", "ConvNet", "PlainNet", "WideResNet", "build", "outline"]

ARCHITECTURES: dict[str, type[nn.Module]] = {
    network.architecture: network for network in (WideResNet, ConvNet, PlainNet, MLP)
}

_MOST = {"channels": 4096, "classes": 1_000_000, "depth": 1000, "width": 4096, "stride": 64}


def outline(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a registered network without memory for its weights, to be measured.

    Raises:
        Mistake: as :func:`build` does.
    """
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    for name, value in config.items():
        most = _MOST.get(name)
        if most and (type(value) is not int or not 1 <= value <= most):
            raise Mistake(f"{architecture}'s {name} is a whole number from 1 to {most}")
    try:
        with torch.device("meta"):
            return ARCHITECTURES[architecture](**config)
    except TypeError as error:
        raise Mistake(f"the configuration does not fit {architecture}: {brief(error)}") from error


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def build(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a registered network: the only way in which a configuration names code.

    Raises:
        Mistake: for an architecture that is not registered, arguments it does not take, or a
            network that is larger than the machine's memory.
    """
    size = _bytes(outline(architecture, config).state_dict().values())
    refuse_beyond_memory(size, f"a network of {_told(config)}")
    return ARCHITECTURES[architecture](**config)


def _told(config: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in config.items())
