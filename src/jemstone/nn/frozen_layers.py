"""Convolutions whose weights stand still, each with its way forward and its way back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SLOPE", "Layer", "fuses"]

SLOPE = 0.2  # of the leaky ReLU
_CHANNELS_LAST = torch.channels_last
_FEW_PIXELS = 64  # of an image: there a product of matrices sums over the batch sooner


def fuses(dtype: torch.dtype) -> bool:
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
        return cls(cast, bias.to(dtype), back, stride, padding, fuses(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)

    def activated(self, x: Tensor) -> Tensor:
        """Return the leaky ReLU of the convolution."""
        if not self.fuses:
            return F.leaky_relu(self(x), SLOPE)
        end: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x,
            self.weight,
            self.bias,
            self.padding,
            self.stride,
            [1, 1],
            1,
            "leaky_relu",
            [SLOPE],
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

    def pulled_onto(self, back: Tensor, g: Tensor, x: Tensor) -> Tensor:
        """Return ``back``, which may be written to, plus what :meth:`pulled` returns."""
        if self.weight.shape[2:] != (1, 1) or self.stride == [1, 1] or self.padding != [0, 0]:
            return back + self.pulled(g, x)
        # Of one pixel in four there is a gradient; the library would write all of them.
        seen = F.conv2d(g, self.back.transpose(0, 1))
        down, right = self.stride
        back[:, :, ::down, ::right] += seen
        return back

    def learned(self, g: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of weight and bias.

        Args:
            g: at the output.
            x: the input.
        """
        out, channels, height, width = self.weight.shape
        if not self.fuses or g.dtype != torch.bfloat16 or g[0, 0].numel() > _FEW_PIXELS:
            _, weight, bias = torch.ops.aten.convolution_backward(
                g,
                x,
                self.weight,
                [out],
                self.stride,
                self.padding,
                [1, 1],
                False,
                [0, 0],
                1,
                [False, True, True],
            )
            return weight, bias
        down, right = self.padding
        seen = F.pad(x, (right, right, down, down)).permute(0, 2, 3, 1)
        for axis, (size, stride) in enumerate(zip((height, width), self.stride, strict=True), 1):
            seen = seen.unfold(axis, size, stride)
        seen = seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, height * width * channels)
        weight = g.permute(1, 0, 2, 3).reshape(out, -1).contiguous() @ seen
        weight = weight.view(out, height, width, channels).permute(0, 3, 1, 2)
        return weight, g.sum(dim=(0, 2, 3), dtype=torch.float32)
