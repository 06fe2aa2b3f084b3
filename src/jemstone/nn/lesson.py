"""A residual block that learns by hand: forward and back as frozen, and gradients of weights too.

Under automatic differentiation norm, activation, sum and convolution each read and write all of
memory on their own, forward and back. A lesson is the same function with the same gradients, its
parts fused as those of a walk are; it is one step of automatic differentiation, so hooks on
parameters fire as they do otherwise.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from jemstone.nn.frozen import FrozenBlock

__all__ = ["Lesson"]


class _Teaches(Protocol):
    """A block that gives itself as a lesson reads it."""

    def frozen(self, mode: str, dtype: torch.dtype, tracks: bool = False) -> FrozenBlock: ...


class Lesson(torch.autograd.Function):
    """A block as one step of automatic differentiation; differentiable once.

    Its inputs are the block's, the block, and the block's parameters in their order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: _Teaches, *parameters: nn.Parameter) -> Tensor:
        """Return the block's output for its input (B, C, H, W)."""
        out: Tensor
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, enabled=False):
            ctx.block = block.frozen("batch", x.dtype, tracks=True)
            out, (before, between) = ctx.block(x)
        ctx.save_for_backward(x, *before, *between)
        ctx.cut, ctx.like = len(before), [p.dtype for p in parameters]
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients at the input and at the parameters."""
        x, *saved = ctx.saved_tensors
        with torch.autocast(g.device.type, enabled=False):
            g = g.contiguous(memory_format=torch.channels_last)
            back, found = ctx.block.learned(g, x, (saved[: ctx.cut], saved[ctx.cut :]))
        found = [gradient.to(dtype) for gradient, dtype in zip(found, ctx.like, strict=True)]
        return back, None, *found
