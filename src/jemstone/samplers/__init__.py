"""Walks, what surrounds them, and where they begin."""

from jemstone.functional.energies import away_from_label, energy, marginal, towards_label
from jemstone.samplers.compose import Compose, Sampler
from jemstone.samplers.init import ClassGaussian, Uniform
from jemstone.samplers.langevin import PYLD, SGLD
from jemstone.samplers.pgd import FGSM, PGD, madry_step
from jemstone.samplers.replay import Persistent, ReplayBuffer, join_chains
from jemstone.samplers.transform import Clamp, ReduceContrast, Transform
from jemstone.samplers.walk import Walk

__all__ = [
    "FGSM",
    "PGD",
    "PYLD",
    "SGLD",
    "Clamp",
    "ClassGaussian",
    "Compose",
    "Persistent",
    "ReduceContrast",
    "ReplayBuffer",
    "Sampler",
    "Transform",
    "Uniform",
    "Walk",
    "away_from_label",
    "energy",
    "join_chains",
    "madry_step",
    "marginal",
    "towards_label",
]
