"""The plain baseline's network: modules as they come, and PYLD's hook on the stem."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PlainWideResNet"]


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, momentum=0.9) if kind == "batch" else nn.Identity()


class _Block(nn.Module):
    def __init__(self, channels: int, out: int, stride: int, norm: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _norm(norm, channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, out, 3, padding=1),
            _norm(norm, out),
            nn.LeakyReLU(0.2),
            nn.Conv2d(out, out, 3, stride, padding=1),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut = nn.Conv2d(channels, out, 1, stride)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.residual(x)
        out += self.shortcut(x)
        return out


class PlainWideResNet(nn.Module):
    """A wide ResNet that keeps its stem's output, and the gradient there, for PYLD.

    Weights have the names of :class:`jemstone.nn.WideResNet`'s.

    Args:
        channels: C of the images.
        classes: K.
        depth: ``6 n + 4``.
        width: channels are 16, 32 and 64 times this.
        norm: ``batch`` (momentum 0.9) or ``none``.
    """

    def __init__(self, channels: int, classes: int, depth: int, width: int, norm: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1)
        self.stem_out: Tensor | None = None
        blocks, before = [], 16
        for out, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for number in range((depth - 4) // 6):
                blocks.append(_Block(before, out, stride if number == 0 else 1, norm))
                before = out
        self.trunk = nn.Sequential(*blocks)
        self.head = nn.ModuleDict(
            {"norm": _norm(norm, before), "linear": nn.Linear(before, classes)}
        )

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.stem(x)
        if h.requires_grad:
            h.retain_grad()
        self.stem_out = h
        h = F.leaky_relu(self.head["norm"](self.trunk(h)), 0.2)
        h = F.avg_pool2d(h, h.shape[-1]).flatten(1)
        logits: Tensor = self.head["linear"](h)
        return logits

    def log_density(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return ``-E(x, y)``, or ``-E(x)`` where no label is given, (B,)."""
        logits = self(x)
        chosen: Tensor = logits.logsumexp(1) if y is None else logits.gather(1, y[:, None])[:, 0]
        return chosen
