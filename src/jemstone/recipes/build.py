"""From a recipe's values to the parts that run."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch

from jemstone.data import DataSet
from jemstone.errors import unknown
from jemstone.functional.balls import ball
from jemstone.functional.energies import away_from_label, energy, marginal, towards_label
from jemstone.model import JointEnergyModel
from jemstone.nn import ARCHITECTURES, build
from jemstone.objectives import AdversarialCrossEntropy, CrossEntropy, MaximumLikelihood, Sum
from jemstone.recipes.schema import Attack, Langevin, Recipe
from jemstone.samplers import (
    PGD,
    PYLD,
    SGLD,
    Clamp,
    ClassGaussian,
    Persistent,
    ReduceContrast,
    ReplayBuffer,
    Sampler,
    Uniform,
)
from jemstone.types import Generator, Init, Objective, Potential, Stage

__all__ = [
    "SAMPLERS",
    "build_attack",
    "build_buffer",
    "build_model",
    "build_objective",
    "build_sampler",
    "build_walk",
    "network_arguments",
]


def network_arguments(recipe: Recipe, channels: int, classes: int) -> tuple[str, dict[str, Any]]:
    """Return the architecture's name, and the arguments that it takes of a recipe.

    Args:
        recipe: of the run.
        channels: C of the images.
        classes: K.
    """
    fields = dataclasses.asdict(recipe.network)
    architecture = fields.pop("architecture")
    taken = inspect.signature(ARCHITECTURES[architecture]).parameters
    arguments = {name: value for name, value in fields.items() if name in taken}
    return architecture, arguments | {"channels": channels, "classes": classes}


def build_model(recipe: Recipe, data: DataSet, seed: int) -> JointEnergyModel:
    """Build the network with fresh weights; it reads [0, 1] pixels as [-1, 1], as the papers.

    Args:
        recipe: of the run.
        data: what it is for.
        seed: of the initial weights; the global random state is left alone.

    Raises:
        Mistake: for a network that cannot be built.
    """
    architecture, arguments = network_arguments(recipe, data.shape[0], len(data.classes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        classifier = build(architecture, arguments)
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


def build_walk(walk: Langevin, potential: Potential) -> SGLD:
    """Build the walk on the energy: PYLD, which with one inner step is SGLD."""
    bounds = (0.0, 1.0) if walk.clamp else None
    if walk.temperature is not None:
        return SGLD(
            walk.steps,
            walk.step_size,
            temperature=walk.temperature,
            potential=potential,
            bounds=bounds,
            mode=walk.mode,
        )
    return PYLD(
        walk.steps,
        walk.inner,
        walk.step_size,
        walk.noise,
        clip=walk.clip,
        potential=potential,
        bounds=bounds,
        mode=walk.mode,
    )


def _choose_init(name: str, gaussian: ClassGaussian) -> Init:
    """Return the class Gaussian, or the uniform init of its shape."""
    return gaussian if name == "class-gaussian" else Uniform(gaussian.shape)


def build_buffer(
    recipe: Recipe,
    gaussian: ClassGaussian,
    classes: int,
    generator: Generator,
    share: slice = slice(None),
) -> ReplayBuffer | None:
    """Build the chains that training walks on in, or a share; None where nothing is contrasted."""
    if recipe.weights.likelihood == 0:
        return None
    chains = recipe.chains
    init = _choose_init(chains.init, gaussian)
    return ReplayBuffer(init, chains.size, classes, chains.reinit, generator, share)


def build_objective(recipe: Recipe, buffer: ReplayBuffer | None, classes: int) -> Objective:
    """Build the weighted sum that training descends.

    JEM++'s order: the labelled batch is the last that batch norm sees.

    Args:
        recipe: of the run.
        buffer: as :func:`build_buffer` built it.
        classes: K.
    """
    weights, parts = recipe.weights, []
    attack = build_attack(recipe.attack, away_from_label)
    if buffer is not None:
        walk = build_walk(recipe.walk, energy if recipe.conditional else marginal)
        chains = Persistent(buffer, walk)
        likelihood = MaximumLikelihood(
            chains,
            classes,
            recipe.noise,
            recipe.conditional,
            attack if recipe.positives == "adversarial" else None,
            recipe.ramp,
        )
        parts.append((weights.likelihood, likelihood))
    clean, attacked = CrossEntropy(recipe.noise), AdversarialCrossEntropy(attack, recipe.ramp)
    return Sum(*parts, (weights.cross_entropy, clean), (weights.adversarial, attacked))


def _attack(recipe: Recipe) -> tuple[Stage, ...]:
    return (build_attack(recipe.sampling.attack, towards_label),)


def _energy(recipe: Recipe) -> tuple[Stage, ...]:
    return (build_walk(recipe.sampling.energy, energy), Clamp())


def _combined(recipe: Recipe) -> tuple[Stage, ...]:
    contrast = recipe.sampling.contrast
    return (
        *_attack(recipe),
        ReduceContrast(contrast.factor, contrast.pivot),
        build_walk(recipe.sampling.combined, energy),
        Clamp(),
    )


def _unconditional(recipe: Recipe) -> tuple[Stage, ...]:
    return (build_walk(recipe.sampling.unconditional, marginal), Clamp())


SAMPLERS: dict[str, Callable[[Recipe], tuple[Stage, ...]]] = {
    "combined": _combined,
    "energy": _energy,
    "attack": _attack,
    "unconditional": _unconditional,
}
"""The stages after the init, by the sampler's name."""


def build_sampler(recipe: Recipe, name: str, gaussian: ClassGaussian) -> Sampler:
    """Build one of :data:`SAMPLERS`, from scratch, or ``init`` alone.

    - ``attack``: init, targeted attack.
    - ``energy``: init, walk on E(x, y).
    - ``combined``: init, targeted attack, less contrast, walk on E(x, y) that may leave the box.
    - ``unconditional``: init, walk on E(x).

    Args:
        recipe: of the run.
        name: of the sampler.
        gaussian: the training images' statistics.

    Raises:
        Mistake: for another name.
    """
    init = _choose_init(recipe.sampling.init, gaussian)
    if name == "init":
        return Sampler(init)
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS)
    return Sampler(init, *SAMPLERS[name](recipe))
