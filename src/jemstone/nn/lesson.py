"""Parts of a network that learn by hand: forward and back as frozen, and weights' gradients too.

Under automatic differentiation norm, activation, sum and convolution each read and write all of
memory on their own, forward and back. A lesson is the same function with the same gradients, its
parts fused as those of a walk are; it is one step of automatic differentiation, so hooks on
parameters fire as they do otherwise.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from jemstone.nn.frozen import FrozenBlock, FrozenHead

__all__ = ["Lesson"]


class _Teaches(Protocol):
    """A part that gives itself as a lesson reads it."""

    def frozen(
        self, mode: str, dtype: torch.dtype, tracks: bool = False
    ) -> FrozenBlock | FrozenHead: ...


class Lesson(torch.autograd.Function):
    """A block or the head as one step of automatic differentiation; differentiable once.

    Its inputs are the part's, the part, and the part's parameters in their order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, part: _Teaches, *parameters: nn.Parameter) -> Tensor:
        """Return the part's output for its input (B, C, H, W)."""
        out: Tensor
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, enabled=False):
            ctx.part = part.frozen("batch", x.dtype, tracks=True)
            out, saved = ctx.part(x)
        # The parameters too: that they have moved before the gradient is then told.
        ctx.save_for_backward(x, *parameters, *itertools.chain(*saved))
        ctx.sizes, ctx.like = [len(kept) for kept in saved], [p.dtype for p in parameters]
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients at the input and at the parameters."""
        x, *flat = ctx.saved_tensors
        rest = iter(flat[len(ctx.like) :])
        saved = tuple(tuple(itertools.islice(rest, size)) for size in ctx.sizes)
        with torch.autocast(g.device.type, enabled=False):
            if g.dim() == 4:
                g = g.contiguous(memory_format=torch.channels_last)
            back, found = ctx.part.learned(g, x, saved)
        found = [gradient.to(dtype) for gradient, dtype in zip(found, ctx.like, strict=True)]
        return back, None, *found
