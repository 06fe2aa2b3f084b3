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
from jemstone.nn.frozen import FrozenBlock, FrozenHead, FrozenWideResNet
from jemstone.nn.frozen_activations import Activation, NormedActivation, ScaledActivation
from jemstone.nn.frozen_layers import SLOPE, Layer
from jemstone.nn.lesson import Lesson

__all__ = ["ACTIVATIONS", "INITS", "NORMS", "WideResNet"]

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(min(8, channels), channels),
    "none": lambda channels: nn.Identity(),
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky-relu": lambda: nn.LeakyReLU(SLOPE),
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
    """Build the first convolution; with a stride, all pixels but those at edges count alike."""
    if stride == 1:
        return _conv3x3(channels, out)
    return nn.Conv2d(channels, out, kernel_size=2 * stride, stride=stride, padding=stride // 2)


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Return batch norm with running statistics as the affine map it is, (C,) each."""
    if not isinstance(norm, nn.BatchNorm2d):
        return None
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias.detach() - norm.running_mean * scale


def _frozen_activation(norm: nn.Module, mode: str, tracks: bool = False) -> Activation:
    affine = _scale_and_shift(norm)
    if affine is None:
        return Activation()
    assert isinstance(norm, nn.BatchNorm2d)
    return NormedActivation(norm, tracks) if mode == "batch" else ScaledActivation(*affine)


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

    def frozen(self, mode: str, dtype: torch.dtype, tracks: bool = False) -> FrozenBlock:
        """Return the block as a walk reads it, or a lesson, which moves running statistics."""
        norm1, _, conv1, norm2, _, conv2 = self.residual
        assert isinstance(conv1, nn.Conv2d)
        assert isinstance(conv2, nn.Conv2d)
        first, after = _scale_and_shift(norm1), _scale_and_shift(norm2)
        if mode == "batch":
            first = after = None
        shortcut = self.shortcut
        return FrozenBlock(
            _frozen_activation(norm1, mode, tracks),
            Layer.of(conv1, dtype, None if first is None else first[0], after),
            _frozen_activation(norm2, mode, tracks) if after is None else Activation(),
            Layer.of(conv2, dtype),
            Layer.of(shortcut, dtype) if isinstance(shortcut, nn.Conv2d) else None,
        )


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

    def frozen(self, mode: str, dtype: torch.dtype, tracks: bool = False) -> FrozenHead:
        """Return the head as a walk reads it, or a lesson, which moves running statistics."""
        affine = None if mode == "batch" else _scale_and_shift(self.norm)
        weight, bias = self.linear.weight.detach(), self.linear.bias.detach()
        activation = _frozen_activation(self.norm, mode, tracks)
        return FrozenHead(activation, weight, bias, None if affine is None else affine[0])


_FREEZABLE = (
    nn.Identity,
    nn.Linear,
    nn.Sequential,
    Block,
    Head,
)


def _as_built(part: nn.Module) -> bool:
    """Tell whether a part is as this file builds it: a type does not say slope or padding."""
    if type(part) is nn.LeakyReLU:
        return part.negative_slope == SLOPE
    if type(part) is nn.Conv2d:
        like = (part.groups, part.dilation, part.padding_mode)
        return like == (1, (1, 1), "zeros") and part.bias is not None
    if type(part) is nn.BatchNorm2d:
        return part.affine and part.running_var is not None
    return type(part) in _FREEZABLE


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
        self.by_hand = False
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
        h: Tensor = self.stem(x)
        if self.by_hand and self._teachable(x):
            for part in (*self.trunk, self.head):
                h = Lesson.apply(h, part, *part.parameters())
            return h
        logits: Tensor = self.head(self.trunk(h))
        return logits

    def _teachable(self, x: Tensor) -> bool:
        """Tell whether a pass learns, in train mode, from images that nobody differentiates."""
        norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
        tracked = all(norm.track_running_stats and norm.momentum is not None for norm in norms)
        learns = self.training and torch.is_grad_enabled() and not x.requires_grad
        return learns and tracked and self._plain(x)

    def _plain(self, x: Tensor) -> bool:
        """Tell whether the network is what its class says, on a processor, and no hook looks."""
        parts = [module for module in self.modules() if module is not self]
        plain = type(self) is WideResNet and all(map(_as_built, parts))
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in (self, *parts))
        told = any(part._backward_hooks or part._backward_pre_hooks for part in (self, *parts))
        return x.device.type == "cpu" and len(x) > 0 and plain and not hooked and not told

    @torch.no_grad()
    def frozen(self, mode: str, x: Tensor) -> FrozenWideResNet | None:
        """Return the network as a walk reads it, which is faster, while its weights stand still.

        Args:
            mode: ``eval`` or ``batch``.
            x: images that the walk starts from; autocast, where it is on, says the precision.

        Returns:
            The same function with the same gradient at images; None where that is not to be had:
            another norm or activation, hooks, or another device than the processor.
        """
        device = x.device.type
        casts = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if casts else x.dtype
        if not self._plain(x) or not (casts or self.stem.weight.dtype == dtype):
            return None
        blocks = [part.frozen(mode, dtype) for part in self.trunk if isinstance(part, Block)]
        return FrozenWideResNet(
            Layer.of(self.stem, dtype), blocks, self.head.frozen(mode, dtype), self.split
        )
