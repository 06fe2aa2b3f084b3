"""The wide residual network of the JEM family: stem, trunk, head.

References:
    Zagoruyko & Komodakis, "Wide residual networks", 2016, https://arxiv.org/abs/1605.07146
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jemstone.errors import Mistake, unknown

__all__ = ["ACTIVATIONS", "INITS", "NORMS", "WideResNet"]

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
    "none": lambda channels: nn.Identity(),
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky-relu": lambda: nn.LeakyReLU(0.2),
    "silu": nn.SiLU,
}
INITS = ("default", "he")
_BRANCH = 0.1  # of a residual branch at the start, with init "he": near the identity
_BATCH_NORM_MOMENTUM = 0.9  # JEM++'s, in torch's sense: the statistics of about the last batch


def _norm(kind: str, channels: int) -> nn.Module:
    norm = NORMS[kind](channels)
    if isinstance(norm, nn.BatchNorm2d):
        norm.momentum = _BATCH_NORM_MOMENTUM
    return norm


def _conv3x3(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel_size=3, stride=stride, padding=1)


def _stem(channels: int, out: int, stride: int) -> nn.Conv2d:
    """Build the first convolution; one with a stride sees each pixel as often as any other."""
    if stride == 1:
        return _conv3x3(channels, out)
    return nn.Conv2d(channels, out, kernel_size=2 * stride, stride=stride, padding=stride // 2)


class Block(nn.Module):
    """``x + conv(act(norm(conv(act(norm(x))))))``, the shortcut a 1x1 convolution where needed."""

    def __init__(self, channels: int, out: int, stride: int, norm: str, activation: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _norm(norm, channels),
            ACTIVATIONS[activation](),
            _conv3x3(channels, out),
            _norm(norm, out),
            ACTIVATIONS[activation](),
            _conv3x3(out, out, stride),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Conv2d(channels, out, kernel_size=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.residual(x)
        shortcut: Tensor = self.shortcut(x)
        return residual + shortcut


class Head(nn.Module):
    """Norm, activation, mean over the image, linear map to the logits."""

    def __init__(self, channels: int, classes: int, norm: str, activation: str) -> None:
        super().__init__()
        self.norm = _norm(norm, channels)
        self.activation = ACTIVATIONS[activation]()
        self.linear = nn.Linear(channels, classes)

    def forward(self, h: Tensor) -> Tensor:
        h = F.adaptive_avg_pool2d(self.activation(self.norm(h)), 1).flatten(1)
        logits: Tensor = self.linear(h)
        return logits


class WideResNet(nn.Module):
    """WRN-depth-width, for images from 8x8 up.

    The stem is one convolution, so it is affine: PYLD's inner gradient is constant on it. With a
    stride of 2 the trunk works on images half as high and wide, at a quarter of the price.

    Args:
        channels: C of the images.
        classes: K.
        depth: ``6 n + 4``, n blocks in each of the three groups.
        width: channels are ``16 width``, ``32 width``, ``64 width``.
        norm: ``batch`` (momentum 0.9, as JEM++), ``group`` or ``none`` (as JEM).
        stride: of the stem; 1, as in the papers, or an even number.
        activation: ``leaky-relu`` (slope 0.2, as JEM), or ``silu``, which is smooth.
        init: of the weights: ``default``, PyTorch's, as the papers' codes; or ``he`` (He et al.
            2015, https://arxiv.org/abs/1502.01852) with each residual branch at a tenth, which
            a network without norm layers learns from much sooner.

    Raises:
        Mistake: for a depth that is not ``6 n + 4``, an odd stride above 1, or an unknown norm,
            activation or init.
    """

    architecture: ClassVar[str] = "wide-resnet"

    def __init__(
        self,
        channels: int,
        classes: int,
        depth: int = 28,
        width: int = 10,
        norm: str = "batch",
        stride: int = 1,
        activation: str = "leaky-relu",
        init: str = "default",
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise Mistake(f"a wide ResNet's depth is 6 n + 4 (10, 16, 22, 28, ...), not {depth}")
        if norm not in NORMS:
            raise unknown("norm", norm, NORMS)
        if activation not in ACTIVATIONS:
            raise unknown("activation", activation, ACTIVATIONS)
        if init not in INITS:
            raise unknown("init", init, INITS)
        if stride < 1 or (stride > 1 and stride % 2):
            raise Mistake(f"the stem's stride is 1 or an even number, not {stride}")
        self.config: dict[str, Any] = {
            "channels": channels,
            "classes": classes,
            "depth": depth,
            "width": width,
            "norm": norm,
            "stride": stride,
            "activation": activation,
            "init": init,
        }
        blocks_per_group = (depth - 4) // 6
        self.stem = _stem(channels, 16, stride)
        blocks: list[nn.Module] = []
        before = 16
        for out, step in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for i in range(blocks_per_group):
                blocks.append(Block(before, out, step if i == 0 else 1, norm, activation))
                before = out
        self.trunk = nn.Sequential(*blocks)
        self.head = Head(before, classes, norm, activation)
        if init == "he":
            self._keep_variance()

    def _keep_variance(self) -> None:
        """Draw weights that neither shrink nor blow up a signal, without the help of a norm."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                linear = module.kernel_size == (1, 1) or module is self.stem
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if linear else "relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in self.trunk.children():
                block.get_parameter("residual.5.weight").mul_(_BRANCH)

    def split(self) -> tuple[nn.Module, nn.Module]:
        """Return the stem, and the rest of the network that reads its output."""
        return self.stem, nn.Sequential(self.trunk, self.head)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(self.stem(x)))
        return logits
