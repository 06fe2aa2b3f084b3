"""The least a pass can take: a network's convolutions and linear layers alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["matrix_work"]


def matrix_work(
    network: nn.Module, x: Tensor, dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """Return a call that does each convolution and linear layer once, forward and input gradient.

    Nothing between the layers is done: no norm, activation, sum or mean. A walk's step cannot be
    faster with the same kernels, so its share of this time says what is left to gain.

    Args:
        network: whose layers are meant; it is run once, to see what they read.
        x: images (B, C, H, W), of which only the shape counts.
        dtype: of the work.
    """
    layers: list[tuple[nn.Conv2d | nn.Linear, tuple[int, ...]]] = []

    def note(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        layers.append((layer, tuple(args[0].shape[1:])))

    hooks = [
        module.register_forward_pre_hook(note)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            network(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    shared: dict[tuple[int, ...], Tensor] = {}
    calls = [_call(layer, (len(x), *shape), x.device, dtype, shared) for layer, shape in layers]

    def run() -> None:
        for call in calls:
            call()

    return run


def _call(
    layer: nn.Conv2d | nn.Linear,
    shape: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    shared: dict[tuple[int, ...], Tensor],
) -> Callable[[], object]:
    """Return a layer's forward and input gradient on random numbers, kept by their shape."""

    def numbers(shape: tuple[int, ...]) -> Tensor:
        if shape not in shared:
            drawn = torch.randn(shape, device=device, dtype=dtype)
            form = torch.channels_last if len(shape) == 4 else torch.contiguous_format
            shared[shape] = drawn.contiguous(memory_format=form)
        return shared[shape]

    x = numbers(shape)
    bias = None if layer.bias is None else layer.bias.detach().to(dtype)
    if isinstance(layer, nn.Linear):
        weight = layer.weight.detach().to(dtype)
        g = numbers((shape[0], len(weight)))
        return lambda: (F.linear(x, weight, bias), g @ weight)
    weight = layer.weight.detach().to(dtype, memory_format=torch.channels_last)
    stride, padding, dilation = layer.stride, layer.padding, layer.dilation
    g = numbers(tuple(F.conv2d(x, weight, bias, stride, padding, dilation, layer.groups).shape))

    def both() -> None:
        F.conv2d(x, weight, bias, stride, padding, dilation, layer.groups)
        torch.ops.aten.convolution_backward(
            g,
            x,
            weight,
            None,
            stride,
            padding,
            dilation,
            False,
            [0, 0],
            layer.groups,
            [True, False, False],
        )

    return both
