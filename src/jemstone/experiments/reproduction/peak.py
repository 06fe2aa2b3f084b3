"""The most memory that a piece of work took, where the machine can say so."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch

from jemstone.training import Device

__all__ = ["read_peak", "reset_peak"]

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def reset_peak(device: Device) -> bool:
    """Forget the peak so far: of the accelerator's memory, or on a processor of the process's.

    Args:
        device: that works.

    Returns:
        Whether it is forgotten: a peak of earlier work would be told as this one's.
    """
    if device.name == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return True
    with suppress(OSError):  # no Linux, or one that forbids it
        _CLEAR.write_text("5")
        return device.name == "cpu"
    return False


def read_peak(device: Device, known: bool) -> int | None:
    """Return the peak since it was forgotten, in bytes; None where that is not known.

    Args:
        device: that worked.
        known: what :func:`reset_peak` returned.
    """
    if not known:
        return None
    if device.name == "cuda":
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError, StopIteration):
        lines = _STATUS.read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return None
