"""Networks, and the modes they run in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from jemstone.errors import Mistake, unknown
from jemstone.nn.small import ConvNet
from jemstone.nn.wide_resnet import WideResNet

__all__ = ["ARCHITECTURES", "ConvNet", "WideResNet", "build"]

ARCHITECTURES: dict[str, type[nn.Module]] = {
    network.architecture: network for network in (WideResNet, ConvNet)
}


def build(architecture: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a registered network: the only way in which a configuration names code.

    Raises:
        Mistake: for an architecture that is not registered, or arguments it does not take.
    """
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    try:
        return ARCHITECTURES[architecture](**config)
    except TypeError as error:
        raise Mistake(f"the configuration does not fit {architecture}: {error}") from error
