"""Kernels in C, compiled at their first use where the machine has gcc; nothing needs them.

Automatic differentiation pulls a gradient back through norm, activation and sum in one pass over
memory for each; ``kernels.c`` does it in two for all three. Without a compiler, on another system
than Linux, or where the environment says ``JEMSTONE_KERNELS=0``, torch's own are taken.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["compiled", "pulled_activation", "pulled_norm", "scaled"]

_SOURCE = Path(__file__).with_suffix(".c")
_FLAGS = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]
if platform.machine() == "x86_64":  # gcc takes halves of the widest registers otherwise
    _FLAGS.append("-mprefer-vector-width=512")
_NUMBERS = {torch.bfloat16: "bfloat16", torch.float32: "float32"}
_PATIENCE = 60  # seconds for the compiler


@functools.cache
def compiled() -> ctypes.CDLL | None:
    """Return the compiled kernels; None where there are none."""
    gcc = shutil.which("gcc")
    if os.environ.get("JEMSTONE_KERNELS") == "0" or sys.platform != "linux" or gcc is None:
        return None
    try:
        # Threads are torch's: with another OpenMP library than its own, two sets would contend.
        if "/libgomp.so.1" not in Path("/proc/self/maps").read_text():
            return None
        # Once it is loaded, the file may go.
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "kernels.so"
            line = [gcc, *_FLAGS, "-o", str(out), str(_SOURCE)]
            subprocess.run(line, check=True, capture_output=True, timeout=_PATIENCE)
            return ctypes.CDLL(str(out))
    except (OSError, subprocess.SubprocessError):
        return None


def _kernel(
    name: str, images: Sequence[Tensor | None], numbers: Sequence[Tensor] = ()
) -> ctypes._NamedFuncPointer | None:
    """Return a kernel that takes these tensors, (B, C, H, W) and (C,), where there is one."""
    first, library = images[0], compiled()
    assert first is not None
    if library is None or first.dtype not in _NUMBERS or first.device.type != "cpu":
        return None
    for tensor in images:
        if tensor is not None and not (
            tensor.shape == first.shape
            and tensor.dtype == first.dtype
            and tensor.is_contiguous(memory_format=torch.channels_last)
        ):
            return None
    if not first.numel() or not all(n.dtype == torch.float32 for n in numbers):
        return None
    assert all(n.is_contiguous() and n.shape == first.shape[1:2] for n in numbers)
    kernel: ctypes._NamedFuncPointer = getattr(library, f"{name}_{_NUMBERS[first.dtype]}")
    return kernel


def _sizes(x: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    """Return how many rows there are, and channels in each."""
    return ctypes.c_int64(x.numel() // x.shape[1]), ctypes.c_int64(x.shape[1])


def _places(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(None if x is None else x.data_ptr()) for x in tensors]


def scaled(x: Tensor, scale: Tensor, shift: Tensor, slope: float) -> Tensor | None:
    """Return the leaky ReLU of ``scale x + shift``; None where there is no kernel for it.

    Args:
        x: (B, C, H, W).
        scale: float32 (C,).
        shift: float32 (C,).
        slope: of the leaky ReLU.
    """
    kernel = _kernel("scale", (x,), (scale, shift))
    if kernel is None:
        return None
    out = torch.empty_like(x)
    kernel(
        *_places(x, out, scale, shift), *_sizes(x), ctypes.c_float(slope), torch.get_num_threads()
    )
    return out


def pulled_activation(g: Tensor, a: Tensor, other: Tensor | None, slope: float) -> Tensor | None:
    """Pull a gradient back through a leaky ReLU, and add to it.

    Args:
        g: at the output (B, C, H, W).
        a: the output.
        other: added; None for nothing.
        slope: of the leaky ReLU.

    Returns:
        The sum; None where there is no kernel for it.
    """
    kernel = _kernel("pull_activation", (g, a, other))
    if kernel is None:
        return None
    out = torch.empty_like(g)
    threads = torch.get_num_threads()
    size = ctypes.c_int64(g.numel())
    kernel(*_places(g, a, other, out), size, ctypes.c_float(slope), threads)
    return out


def pulled_norm(
    g: Tensor,
    x: Tensor,
    other: Tensor | None,
    weight: Tensor,
    mean: Tensor,
    deviation: Tensor,
    scale: Tensor,
    shift: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Pull a gradient back through batch norm by the batch's statistics and a leaky ReLU.

    Args:
        g: at the output (B, C, H, W).
        x: the norm's input.
        other: added to the gradient; None for nothing.
        weight: of the norm, float32 (C,), as are all below.
        mean: of the batch.
        deviation: one over the standard deviation.
        scale: with ``shift``, what the norm amounts to.
        shift: of it.
        slope: of the leaky ReLU.

    Returns:
        The gradient at ``x``, plus ``other``, and those of the norm's weight and bias; None where
        there is no kernel for it.
    """
    numbers = (weight, mean, deviation, scale, shift)
    kernel = _kernel("pull_norm", (g, x, other), numbers)
    if kernel is None:
        return None
    out, of_weight, of_bias = (torch.empty_like(like) for like in (g, weight, weight))
    failed = kernel(
        *_places(g, x, other, out, *numbers, of_weight, of_bias),
        *_sizes(g),
        ctypes.c_float(slope),
        torch.get_num_threads(),
    )
    return None if failed else (out, of_weight, of_bias)
