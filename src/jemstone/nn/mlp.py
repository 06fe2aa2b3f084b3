"""The network of points: a perceptron of hidden layers, smooth so that its energy is."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from jemstone.errors import Mistake, unknown
from jemstone.nn.wide_resnet import ACTIVATIONS

__all__ = ["MLP"]


class MLP(nn.Module):
    """Hidden layers as wide as each other, for images of one pixel.

    The stem is the first linear map, so it is affine: PYLD's inner gradient is constant on it.

    Args:
        channels: C of the images, the numbers of a point.
        classes: K.
        depth: hidden layers.
        width: units of each.
        activation: ``silu``, which is smooth, or ``leaky-relu``.

    Raises:
        Mistake: for no layer, or an unknown activation.
    """

    architecture: ClassVar[str] = "mlp"

    def __init__(
        self,
        channels: int,
        classes: int,
        depth: int = 3,
        width: int = 64,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        if depth < 1:
            raise Mistake(f"an MLP has at least one hidden layer, not {depth}")
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
        self.config: dict[str, Any] = {
            "channels": channels,
            "classes": classes,
            "depth": depth,
            "width": width,
            "activation": activation,
        }
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(channels, width))
        layers: list[nn.Module] = [ACTIVATIONS[activation]()]
        for _ in range(depth - 1):
            layers += [nn.Linear(width, width), ACTIVATIONS[activation]()]
        self.trunk = nn.Sequential(*layers)
        self.linear = nn.Linear(width, classes)

    def split(self) -> tuple[nn.Module, nn.Module]:
        """Return the stem, and the rest of the network that reads its output."""
        return self.stem, nn.Sequential(self.trunk, self.linear)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (1, 1):
            raise Mistake(
                f"an MLP reads images of one pixel, as moons and spirals, not of {x.shape[2:]}: "
                "set network.architecture to wide-resnet"
            )
        logits: Tensor = self.linear(self.trunk(self.stem(x)))
        return logits
