"""Layers whose weights stand still, each with its way forward and its way back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Activation", "Layer", "NormedActivation", "Saved", "ScaledActivation"]

_SLOPE = 0.2  # of the leaky ReLU
_CHANNELS_LAST = torch.channels_last


def _fuses(dtype: torch.dtype) -> bool:
    """Tell whether this processor's library ends convolutions with what comes after them."""
    if not torch.backends.mkldnn.is_available() or not hasattr(
        torch.ops.mkldnn, "_convolution_pointwise"
    ):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


@dataclass(frozen=True)
class Layer:
    """A convolution whose weights stand still.

    Args:
        weight: (out, in, k, k).
        bias: (out,).
        back: the weights that its input's gradient is computed with.
        stride: of both axes.
        padding: of both axes.
        fuses: whether what follows is done by the same kernel.
    """

    weight: Tensor
    bias: Tensor
    back: Tensor
    stride: list[int]
    padding: list[int]
    fuses: bool

    @classmethod
    def of(
        cls,
        conv: nn.Conv2d,
        dtype: torch.dtype,
        before: Tensor | None = None,
        after: tuple[Tensor, Tensor] | None = None,
    ) -> Layer:
        """Freeze a convolution.

        Args:
            conv: to freeze.
            dtype: of the walk.
            before: factor of each input channel, for the gradient (in,).
            after: scale and shift of each output channel, (out,) each.
        """
        weight = conv.weight.detach()
        bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach()
        if after is not None:
            weight = weight * after[0][:, None, None, None]
            bias = bias * after[0] + after[1]
        cast = weight.to(dtype, memory_format=_CHANNELS_LAST)
        back = cast
        if before is not None:
            back = (weight * before[:, None, None]).to(dtype, memory_format=_CHANNELS_LAST)
        stride, padding = list(conv.stride), [int(size) for size in conv.padding]
        return cls(cast, bias.to(dtype), back, stride, padding, _fuses(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def activated(self, x: Tensor) -> Tensor:
        """Return the leaky ReLU of the convolution."""
        if not self.fuses:
            return F.leaky_relu(self(x), _SLOPE)
        end: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x,
            self.weight,
            self.bias,
            self.padding,
            self.stride,
            [1, 1],
            1,
            "leaky_relu",
            [_SLOPE],
            "",
        )
        return end

    def added(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the convolution plus ``other``, of its shape."""
        if not self.fuses:
            return self(x) + other
        end: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            x,
            other,
            self.weight,
            self.bias,
            self.padding,
            self.stride,
            [1, 1],
            1,
            "add",
            None,
            None,
            [],
            None,
        )
        return end

    def pulled(self, g: Tensor, x: Tensor) -> Tensor:
        """Pull a gradient at the output back to the input.

        Args:
            g: at the output.
            x: the input, or anything of its shape and type.
        """
        back: Tensor = torch.ops.aten.convolution_backward(
            g,
            x,
            self.back,
            None,
            self.stride,
            self.padding,
            [1, 1],
            False,
            [0, 0],
            1,
            [True, False, False],
        )[0]
        return back


Saved = tuple[Tensor, ...]


class Activation:
    """Leaky ReLU."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Saved]:
        # Not in place: on processors that is the slower of the two.
        a = F.leaky_relu(x, _SLOPE)
        return a, (a,)

    def pulled(self, g: Tensor, saved: Saved) -> Tensor:
        """Pull a gradient back: the sign of what came out is that of what went in."""
        back: Tensor = torch.ops.aten.leaky_relu_backward(g, saved[0], _SLOPE, True)
        return back


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return the leaky ReLU of ``scale x + shift``, channel by channel."""
    if not _fuses(x.dtype):
        return F.leaky_relu(
            torch.addcmul(shift[:, None, None].to(x), x, scale[:, None, None].to(x)), _SLOPE
        )
    # A convolution of one pixel and one channel, ended by the activation: one pass over memory.
    end: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x,
        scale[:, None, None, None].to(x.dtype),
        shift,  # in float32: what it adds does not average out
        [0, 0],
        [1, 1],
        [1, 1],
        len(scale),
        "leaky_relu",
        [_SLOPE],
        "",
    )
    return end


class ScaledActivation(Activation):
    """Scale and shift of each channel, then leaky ReLU: batch norm by running statistics.

    The scale is no part of the gradient here: the weights of the convolution after it have it.

    Args:
        scale: (C,).
        shift: (C,).
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        self.scale, self.shift = scale, shift

    def __call__(self, x: Tensor) -> tuple[Tensor, Saved]:
        a = _scaled(x, self.scale, self.shift)
        return a, (a,)


class NormedActivation(Activation):
    """Batch norm by the batch's statistics, untracked, then leaky ReLU.

    Args:
        norm: to freeze.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.norm = norm
        # Of no use but to say that statistics of bfloat16 shall be in the weights' precision.
        self.untouched = norm.weight.new_zeros(2, norm.num_features)

    def __call__(self, x: Tensor) -> tuple[Tensor, Saved]:
        norm = self.norm
        mean, variance = torch.ops.aten.batch_norm_update_stats(x, *self.untouched, 0.0)
        deviation = (variance + norm.eps).rsqrt()
        scale = norm.weight * deviation
        a = _scaled(x, scale, norm.bias - mean * scale)
        return a, (a, x, mean, deviation)

    def pulled(self, g: Tensor, saved: Saved) -> Tensor:
        a, x, mean, deviation = saved
        back: Tensor = torch.ops.aten.native_batch_norm_backward(
            super().pulled(g, (a,)),
            x,
            self.norm.weight,
            None,
            None,
            mean,
            deviation,
            True,
            self.norm.eps,
            [True, False, False],
        )[0]
        return back
