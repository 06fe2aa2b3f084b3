"""Where tensors live, and in which precision networks train."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from jemstone.errors import Mistake, unknown
from jemstone.memory import machine_memory

__all__ = ["Device", "choose_device", "processor"]

_DEVICES = ("auto", "cpu", "cuda", "mps")
_PRECISIONS = ("auto", "fp32", "bf16")
_PRODUCTS = {  # what multiplies bfloat16 where a probe of torch says so, the fastest first
    "_is_amx_tile_supported": "matrix tiles",
    "_is_avx512_bf16_supported": "dot products",
}


@dataclass(frozen=True)
class Device:
    """Where tensors live, and in which precision networks train.

    Args:
        name: ``cpu``, ``cuda`` or ``mps``.
        bf16: autocast the passes of training to bfloat16. Judging is in float32 unless bf16 is
            asked for.
    """

    name: str = "cpu"
    bf16: bool = False

    def autocast(self) -> torch.autocast:
        """Return the context in which training passes run."""
        return torch.autocast(self.name, torch.bfloat16, enabled=self.bf16)

    @property
    def memory(self) -> int | None:
        """Bytes that there are; None where the system does not tell."""
        if self.name == "cuda":
            return int(torch.cuda.get_device_properties(0).total_memory)
        return machine_memory()

    def __str__(self) -> str:
        return f"{self.name}, {'bf16' if self.bf16 else 'fp32'}"


def choose_device(name: str = "auto", precision: str = "auto") -> Device:
    """Choose where to run; ``auto`` takes the fastest there is.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``fp32`` or ``bf16``; ``auto`` is bf16 where the hardware has it.

    Raises:
        Mistake: for a name that is unknown, or a device that this machine lacks.
    """
    if name not in _DEVICES:
        raise unknown("device", name, _DEVICES)
    if precision not in _PRECISIONS:
        raise unknown("precision", precision, _PRECISIONS)
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, present in there.items() if present)
    if not there[name]:
        raise Mistake(f"this machine has no {name}: use --device cpu")
    if name == "cuda":
        _hold_to_promises()
    return Device(name, _has_bf16(name) if precision == "auto" else precision == "bf16")


def processor() -> str:
    """Name the processor's kind and what multiplies bfloat16 there: the time of a step hangs on it.

    Returns:
        As in ``x86_64, bf16 by matrix tiles``, ``x86_64, bf16 by dot products``, or the kind alone
        where there are no such instructions, or none that torch knows.
    """
    product = _product()
    return platform.machine() + (f", bf16 by {product}" if product else "")


def _hold_to_promises() -> None:
    """Let a GPU answer twice alike, and in float32 where that is promised.

    By itself cuDNN multiplies float32 in 10 bits of mantissa (TF32), and chooses among algorithms
    of which some add up in any order.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def _product() -> str | None:
    known = (words for probe, words in _PRODUCTS.items() if getattr(torch.cpu, probe, bool)())
    return next(known, None)


def _has_bf16(name: str) -> bool:
    if name == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Without instructions for its products, bfloat16 is emulated there too, and slow.
    return name == "cpu" and _product() is not None
