"""From a recipe's values to the parts that run."""

from __future__ import annotations

import torch

from jemstone.data import DataSet
from jemstone.errors import unknown
from jemstone.functional.balls import ball
from jemstone.functional.energies import away_from_label, energy, marginal, towards_label
from jemstone.model import JointEnergyModel
from jemstone.nn import WideResNet
from jemstone.objectives import AdversarialCrossEntropy, CrossEntropy, MaximumLikelihood, Sum
from jemstone.recipes.schema import Attack, Langevin, Recipe
from jemstone.samplers import (
    PGD,
    PYLD,
    Clamp,
    ClassGaussian,
    Persistent,
    ReduceContrast,
    ReplayBuffer,
    Sampler,
    Uniform,
)
from jemstone.types import Generator, Init, Objective, Potential

__all__ = [
    "SAMPLERS",
    "build_attack",
    "build_buffer",
    "build_model",
    "build_objective",
    "build_sampler",
    "build_walk",
]

SAMPLERS = ("combined", "energy", "attack", "unconditional")


def build_model(recipe: Recipe, data: DataSet, seed: int) -> JointEnergyModel:
    """Build the network with fresh weights; it reads [0, 1] pixels as [-1, 1], as the papers.

    Args:
        recipe: of the run.
        data: what it is for.
        seed: of the initial weights; the global random state is left alone.
    """
    network = recipe.network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = WideResNet(
            data.shape[0], len(data.classes), network.depth, network.width, network.norm
        )
    model = JointEnergyModel(classifier, mean=0.5, std=0.5)
    return model.to(memory_format=torch.channels_last)


def build_attack(attack: Attack, potential: Potential) -> PGD:
    """Build the walk within a ball."""
    return PGD(
        ball(attack.norm, attack.eps),
        attack.steps,
        attack.step_size,
        potential=potential,
        random_start=attack.random_start,
        mode=attack.mode,
    )


def build_walk(walk: Langevin, potential: Potential) -> PYLD:
    """Build the walk on the energy; with one inner step it is SGLD."""
    return PYLD(
        walk.steps,
        walk.inner,
        walk.step_size,
        walk.noise,
        clip=walk.clip,
        potential=potential,
        bounds=(0.0, 1.0) if walk.clamp else None,
        mode=walk.mode,
    )


def _choose_init(name: str, gaussian: ClassGaussian) -> Init:
    """Return the class Gaussian, or the uniform init of its shape."""
    return gaussian if name == "class-gaussian" else Uniform(gaussian.shape)


def build_buffer(
    recipe: Recipe, gaussian: ClassGaussian, classes: int, generator: Generator
) -> ReplayBuffer | None:
    """Build the chains that training walks on in; None where nothing is contrasted."""
    if recipe.weights.likelihood == 0:
        return None
    chains = recipe.chains
    init = _choose_init(chains.init, gaussian)
    return ReplayBuffer(init, chains.size, classes, chains.reinit, generator)


def build_objective(recipe: Recipe, buffer: ReplayBuffer | None, classes: int) -> Objective:
    """Build the weighted sum that training descends."""
    weights = recipe.weights
    parts: list[tuple[float, Objective]] = []
    if buffer is not None:
        walk = build_walk(recipe.walk, energy if recipe.conditional else marginal)
        likelihood = MaximumLikelihood(
            Persistent(buffer, walk), classes, recipe.noise, recipe.conditional
        )
        parts.append((weights.likelihood, likelihood))
    attack = build_attack(recipe.attack, away_from_label)
    # JEM++'s order: the labelled batch is the last that batch norm sees.
    parts.append((weights.cross_entropy, CrossEntropy(recipe.noise)))
    parts.append((weights.adversarial, AdversarialCrossEntropy(attack)))
    return Sum(*parts)


def build_sampler(recipe: Recipe, name: str, gaussian: ClassGaussian) -> Sampler:
    """Build one of :data:`SAMPLERS`, from scratch.

    - ``attack``: init, targeted attack.
    - ``energy``: init, walk on E(x, y).
    - ``combined``: init, targeted attack, less contrast, walk on E(x, y) that may leave the box.
    - ``unconditional``: init, walk on E(x).

    Raises:
        Mistake: for another name.
    """
    sampling = recipe.sampling
    init = _choose_init(sampling.init, gaussian)
    attack = build_attack(sampling.attack, towards_label)
    contrast = ReduceContrast(sampling.contrast.factor, sampling.contrast.pivot)
    match name:
        case "attack":
            return Sampler(init, attack)
        case "energy":
            return Sampler(init, build_walk(sampling.energy, energy), Clamp())
        case "combined":
            walk = build_walk(sampling.combined, energy)
            return Sampler(init, attack, contrast, walk, Clamp())
        case "unconditional":
            return Sampler(init, build_walk(sampling.unconditional, marginal), Clamp())
    raise unknown("sampler", name, SAMPLERS)
