"""Where figures come from: the state of the code that made them, and what it ran on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jemstone._version import __version__
from jemstone.nn.kernels import compiled
from jemstone.training import Device, processor

__all__ = ["drifted", "machine", "source_commit", "versions"]


def versions() -> dict[str, Any]:
    """Return what numbers depend on beside the device: processor, threads, kernels, versions."""
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "kernels": compiled() is not None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "jemstone": __version__,
    }


def drifted(environment: Mapping[str, Any]) -> list[str]:
    """Return what numbers hang on that is not here as it was, in words: bits may differ from here.

    Args:
        environment: what :func:`versions` said, among other things.
    """
    return [
        f"{name} {environment[name]}, here {now}"
        for name, now in versions().items()
        if environment.get(name, now) != now
    ]


def machine(device: Device) -> dict[str, Any]:
    """Return what figures are computed on: processor or GPU, threads, versions.

    Args:
        device: where models are judged, and in which precision samples are drawn.
    """
    on_gpu = device.name == "cuda"
    return {
        "device": device.name,
        "gpu": torch.cuda.get_device_name() if on_gpu else None,
        "precision": "bf16" if device.bf16 else "fp32",
        **versions(),
    }


def source_commit() -> str | None:
    """Return the commit of this code, ``-dirty`` behind it where files were changed since.

    Returns:
        None where the code is not that of a repository, as where it was installed.
    """
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    readonly = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        # A package installed somewhere below a repository of another kind is not tracked by it.
        tracked = [*git, "ls-files", "--error-unmatch", here.name]
        subprocess.run(tracked, capture_output=True, check=True, env=readonly)
        named = [*git, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        done = subprocess.run(named, capture_output=True, check=True, env=readonly)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode().strip() or None
