"""The wide residual network of the JEM family: stem, trunk, head.

References:
    Zagoruyko & Komodakis, "Wide residual networks", 2016, https://arxiv.org/abs/1605.07146
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from jemstone.errors import Mistake, unknown

__all__ = ["NORMS", "WideResNet"]

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
    "none": lambda channels: nn.Identity(),
}
_BATCH_NORM_MOMENTUM = 0.9  # JEM++'s, in torch's sense: the statistics of about the last batch


def _norm(kind: str, channels: int) -> nn.Module:
    norm = NORMS[kind](channels)
    if isinstance(norm, nn.BatchNorm2d):
        norm.momentum = _BATCH_NORM_MOMENTUM
    return norm


def _conv3x3(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel_size=3, stride=stride, padding=1)


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.2)


class Block(nn.Module):
    """``x + conv(act(norm(conv(act(norm(x))))))``, the shortcut a 1x1 convolution where needed."""

    def __init__(self, channels: int, out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _norm(norm, channels),
            _activation(),
            _conv3x3(channels, out),
            _norm(norm, out),
            _activation(),
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

    def __init__(self, channels: int, classes: int, norm: str) -> None:
        super().__init__()
        self.norm = _norm(norm, channels)
        self.activation = _activation()
        self.linear = nn.Linear(channels, classes)

    def forward(self, h: Tensor) -> Tensor:
        h = F.adaptive_avg_pool2d(self.activation(self.norm(h)), 1).flatten(1)
        logits: Tensor = self.linear(h)
        return logits


class WideResNet(nn.Module):
    """WRN-depth-width with LeakyReLU 0.2, for images from 8x8 up.

    The stem is one convolution, so it is affine: PYLD's inner gradient is constant on it.

    Args:
        channels: C of the images.
        classes: K.
        depth: ``6 n + 4``, n blocks in each of the three groups.
        width: channels are ``16 width``, ``32 width``, ``64 width``.
        norm: ``batch`` (momentum 0.9, as JEM++), ``group`` or ``none`` (as JEM).

    Raises:
        Mistake: for a depth that is not ``6 n + 4``, or an unknown norm.
    """

    architecture: ClassVar[str] = "wide-resnet"

    def __init__(
        self, channels: int, classes: int, depth: int = 28, width: int = 10, norm: str = "batch"
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise Mistake(f"a wide ResNet's depth is 6 n + 4 (10, 16, 22, 28, ...), not {depth}")
        if norm not in NORMS:
            raise unknown("norm", norm, NORMS)
        self.config: dict[str, Any] = {
            "channels": channels,
            "classes": classes,
            "depth": depth,
            "width": width,
            "norm": norm,
        }
        blocks_per_group = (depth - 4) // 6
        self.stem = _conv3x3(channels, 16)
        blocks: list[nn.Module] = []
        before = 16
        for out, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for i in range(blocks_per_group):
                blocks.append(Block(before, out, stride if i == 0 else 1, norm))
                before = out
        self.trunk = nn.Sequential(*blocks)
        self.head = Head(before, classes, norm)

    def split(self) -> tuple[nn.Module, nn.Module]:
        """Return the stem, and the rest of the network that reads its output."""
        return self.stem, nn.Sequential(self.trunk, self.head)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(self.stem(x)))
        return logits
