r"""A wide ResNet as a walk reads it: weights that stand still, and a gradient for images alone.

While a walk lasts the weights do not change, so what depends on them alone is done once, before
its first step: they are cast to the walk's precision, and batch norm with running statistics, which
is then an affine map :math:`h \mapsto s h + t` of each channel, is folded into its neighbours. The
second of a block goes into the convolution before it, :math:`s (w * a + b) + t = (s w) * a +
(s b + t)`; of the first, the gradient's factor :math:`s` goes into the convolution after it. What
is left between two convolutions is one pass over memory, or none where the processor's library
ends a convolution with the activation or the sum.

Nothing is approximated: in exact arithmetic logits and gradients are the network's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from jemstone.nn.frozen_activations import Activation, NormedActivation, Saved
from jemstone.nn.frozen_layers import Layer

__all__ = ["FrozenBlock", "FrozenHead", "FrozenWideResNet", "Passage"]


@dataclass(frozen=True)
class FrozenBlock:
    """A residual block.

    Args:
        first: before the first convolution.
        conv1: the first convolution, which does ``second`` too where that is an activation alone.
        second: between the two.
        conv2: the second convolution, which adds the shortcut too.
        shortcut: None for the block's input itself.
    """

    first: Activation
    conv1: Layer
    second: Activation
    conv2: Layer
    shortcut: Layer | None

    def __call__(self, x: Tensor) -> tuple[Tensor, tuple[Saved, Saved]]:
        a, before = self.first(x)
        if type(self.second) is Activation:
            h = self.conv1.activated(a)
            between: Saved = (h,)
        else:
            h, between = self.second(self.conv1(a))
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.conv2.added(h, shortcut), (before, between)

    def pulled(self, g: Tensor, saved: tuple[Saved, Saved]) -> Tensor:
        """Pull a gradient at the block's output back to its input."""
        before, between = saved
        back = self.second.pulled(self.conv2.pulled(g, between[0]), between)
        back = self.conv1.pulled(back, before[0])
        if self.shortcut is None:
            return self.first.pulled(back, before, g)
        return self.shortcut.pulled_onto(self.first.pulled(back, before), g, before[0])

    def learned(
        self, g: Tensor, x: Tensor, saved: tuple[Saved, Saved]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return what :meth:`pulled` does, and the gradients of parameters, in their order.

        Args:
            g: at the block's output.
            x: the block's input.
            saved: on the way forward.
        """
        before, between = saved
        back, last = self.conv2.pulled(g, between[0]), self.conv2.learned(g, between[0])
        back, norm2 = _learned(self.second, back, between)
        first = self.conv1.learned(back, before[0])
        back = self.conv1.pulled(back, before[0])
        if self.shortcut is None:
            back, norm1 = _learned(self.first, back, before, g)
            return back, [*norm1, *first, *norm2, *last]
        back, norm1 = _learned(self.first, back, before)
        back = self.shortcut.pulled_onto(back, g, before[0])
        return back, [*norm1, *first, *norm2, *last, *self.shortcut.learned(g, x)]


def _learned(
    activation: Activation, g: Tensor, saved: Saved, other: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Pull a gradient back through an activation, and return those of its norm, if it has one."""
    if not isinstance(activation, NormedActivation):
        return activation.pulled(g, saved, other), []
    back, *found = activation.learned(g, saved, other)
    return back, found


@dataclass(frozen=True)
class FrozenHead:
    """Activation, mean over the image, linear map; the last two in the model's precision."""

    activation: Activation
    weight: Tensor
    bias: Tensor
    scale: Tensor | None

    def __call__(self, x: Tensor) -> tuple[Tensor, tuple[Saved]]:
        a, saved = self.activation(x)
        return F.linear(self.pooled(a), self.weight, self.bias), (saved,)

    def pooled(self, a: Tensor) -> Tensor:
        """Return the mean over the image."""
        return a.to(self.weight.dtype).mean(dim=(2, 3))

    def spread(self, g: Tensor, a: Tensor) -> Tensor:
        """Pull a gradient at the logits back to what the mean is over."""
        pooled = g @ self.weight / (a.shape[2] * a.shape[3])
        pooled = pooled if self.scale is None else pooled * self.scale
        spread = pooled.to(a.dtype)[:, :, None, None].expand_as(a)
        return spread.contiguous(memory_format=torch.channels_last)

    def pulled(self, g: Tensor, saved: tuple[Saved]) -> Tensor:
        """Pull a gradient at the logits back to the trunk's output."""
        (kept,) = saved
        return self.activation.pulled(self.spread(g, kept[0]), kept)

    def learned(self, g: Tensor, x: Tensor, saved: tuple[Saved]) -> tuple[Tensor, list[Tensor]]:
        """Return what :meth:`pulled` does, and the gradients of parameters, in their order."""
        (kept,) = saved
        g = g.to(self.weight.dtype)
        back, norm = _learned(self.activation, self.spread(g, kept[0]), kept)
        return back, [*norm, g.T @ self.pooled(kept[0]), g.sum(dim=0)]


class Passage(torch.autograd.Function):
    """The frozen network as one step of automatic differentiation; differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, network: FrozenWideResNet) -> Tensor:
        """Return the logits of images (B, C, H, W)."""
        logits, ctx.saved = network.run(x)
        ctx.network, ctx.like = network, x.dtype
        return logits

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        """Pull a gradient at the logits (B, K) back to the images."""
        return ctx.network.pulled(g, ctx.saved).to(ctx.like), None


class FrozenWideResNet(nn.Module):
    """The network of a walk: same logits, same gradient at the images, weights that stand still.

    Args:
        stem: the first convolution.
        blocks: the trunk.
        head: the rest.
        split: of the network it was made of: stem and rest, for PYLD's loop.
    """

    def __init__(
        self,
        stem: Layer,
        blocks: list[FrozenBlock],
        head: FrozenHead,
        split: Callable[[], tuple[nn.Module, nn.Module]],
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.head, self.split = stem, blocks, head, split

    def forward(self, x: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and x.requires_grad):
            return self.run(x, keeps=False)[0]
        logits: Tensor = Passage.apply(x, self)
        return logits

    @torch.no_grad()
    def run(self, x: Tensor, keeps: bool = True) -> tuple[Tensor, list[Any]]:
        """Return the logits (B, K), and what the way back needs.

        Args:
            x: images (B, C, H, W).
            keeps: whether there is a way back; without one nothing is held.
        """
        with torch.autocast(x.device.type, enabled=False):
            h = self.stem(x.to(self.stem.weight.dtype, memory_format=torch.channels_last))
            saved: list[Any] = [x]
            for block in self.blocks:
                h, kept = block(h)
                if keeps:
                    saved.append(kept)
            logits, kept_by_head = self.head(h)
        return logits, [*saved, kept_by_head] if keeps else []

    @torch.no_grad()
    def pulled(self, g: Tensor, saved: list[Any]) -> Tensor:
        """Pull a gradient at the logits back to the images."""
        x, *inside, last = saved
        with torch.autocast(x.device.type, enabled=False):
            g = self.head.pulled(g.to(self.head.weight.dtype), last)
            for block, kept in zip(reversed(self.blocks), reversed(inside), strict=True):
                g = block.pulled(g, kept)
            like = x.to(self.stem.weight.dtype, memory_format=torch.channels_last)
            return self.stem.pulled(g, like)
