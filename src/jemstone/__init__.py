"""Joint energy-based models: a classifier's logits are also an energy.

The names below load on first use, so that ``jemstone --help`` need not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jemstone._version import __version__

if TYPE_CHECKING:
    from jemstone.data import load
    from jemstone.errors import Mistake
    from jemstone.functional.balls import L2, Linf
    from jemstone.functional.energies import away_from_label, energy, marginal, towards_label
    from jemstone.model import JointEnergyModel
    from jemstone.random import Generator
    from jemstone.samplers import (
        FGSM,
        PGD,
        PYLD,
        SGLD,
        Clamp,
        ClassGaussian,
        Compose,
        Persistent,
        ReduceContrast,
        ReplayBuffer,
        Sampler,
        Uniform,
    )
    from jemstone.training import Diverged

_HOMES = {
    "jemstone.data": ("load",),
    "jemstone.errors": ("Mistake",),
    "jemstone.functional.balls": ("L2", "Linf"),
    "jemstone.functional.energies": ("away_from_label", "energy", "marginal", "towards_label"),
    "jemstone.model": ("JointEnergyModel",),
    "jemstone.random": ("Generator",),
    "jemstone.samplers": (
        "FGSM",
        "PGD",
        "PYLD",
        "SGLD",
        "ClassGaussian",
        "Clamp",
        "Compose",
        "Persistent",
        "ReduceContrast",
        "ReplayBuffer",
        "Sampler",
        "Uniform",
    ),
    "jemstone.training": ("Diverged",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FGSM",
    "L2",
    "PGD",
    "PYLD",
    "SGLD",
    "Clamp",
    "ClassGaussian",
    "Compose",
    "Diverged",
    "Generator",
    "JointEnergyModel",
    "Linf",
    "Mistake",
    "Persistent",
    "ReduceContrast",
    "ReplayBuffer",
    "Sampler",
    "Uniform",
    "__version__",
    "away_from_label",
    "energy",
    "load",
    "marginal",
    "towards_label",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jemstone' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
