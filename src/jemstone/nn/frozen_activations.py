"""What stands between two frozen convolutions, each with its way forward and its way back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jemstone.errors import Mistake
from jemstone.nn.frozen_layers import SLOPE, fuses
from jemstone.nn.kernels import pulled_activation, pulled_norm, scaled

__all__ = ["Activation", "NormedActivation", "Saved", "ScaledActivation"]

Saved = tuple[Tensor, ...]


class Activation:
    """Leaky ReLU."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Saved]:
        # Not in place: on processors that is the slower of the two.
        a = F.leaky_relu(x, SLOPE)
        return a, (a,)

    def pulled(self, g: Tensor, saved: Saved, other: Tensor | None = None) -> Tensor:
        """Pull a gradient back: the sign of what came out is that of what went in.

        Args:
            g: at the output.
            saved: on the way forward.
            other: added to what is returned, of its shape.
        """
        back = pulled_activation(g, saved[0], other, SLOPE)
        if back is None:
            back = torch.ops.aten.leaky_relu_backward(g, saved[0], SLOPE, True)
            back = back if other is None else back + other
        return back


def _scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return the leaky ReLU of ``scale x + shift``, channel by channel."""
    done = scaled(x, scale, shift, SLOPE)
    if done is not None:
        return done
    if not fuses(x.dtype):
        return F.leaky_relu(
            torch.addcmul(shift[:, None, None].to(x), x, scale[:, None, None].to(x)), SLOPE
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
        [SLOPE],
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
    """Batch norm by the batch's statistics, then leaky ReLU.

    Args:
        norm: to freeze.
        tracks: whether the running statistics move.
    """

    def __init__(self, norm: nn.BatchNorm2d, tracks: bool = False) -> None:
        self.norm, self.tracks = norm, tracks
        # Of no use but to say that statistics of bfloat16 shall be in the weights' precision.
        self.untouched = norm.weight.new_zeros(2, norm.num_features)

    def __call__(self, x: Tensor) -> tuple[Tensor, Saved]:
        norm = self.norm
        if x.numel() == x.shape[1]:
            raise Mistake(
                "batch norm needs more than one value a channel: take larger batches or images, "
                "or network.norm group"
            )
        if self.tracks:
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            running = (norm.running_mean, norm.running_var, norm.momentum)
        else:
            running = (*self.untouched, 0.0)
        mean, variance = torch.ops.aten.batch_norm_update_stats(x, *running)
        deviation = (variance + norm.eps).rsqrt()
        scale = norm.weight * deviation
        shift = norm.bias - mean * scale
        a = _scaled(x, scale, shift)
        return a, (a, x, mean, deviation, scale, shift)

    def pulled(self, g: Tensor, saved: Saved, other: Tensor | None = None) -> Tensor:
        return self.learned(g, saved, other)[0]

    def learned(
        self, g: Tensor, saved: Saved, other: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what :meth:`pulled` does, and the gradients of the norm's weight and bias."""
        a, x, mean, deviation, scale, shift = saved
        weight = self.norm.weight.detach()
        found = pulled_norm(g, x, other, weight, mean, deviation, scale, shift, SLOPE)
        if found is not None:
            return found
        back, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            torch.ops.aten.leaky_relu_backward(g, a, SLOPE, True),
            x,
            weight,
            None,
            None,
            mean,
            deviation,
            True,
            self.norm.eps,
            [True, True, True],
        )
        return back if other is None else back + other, of_weight, of_bias
