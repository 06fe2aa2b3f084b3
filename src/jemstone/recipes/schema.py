"""A recipe: everything a run depends on, as plain values that fit a YAML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jemstone.data import Augmentation
from jemstone.errors import Mistake, nearest
from jemstone.samplers import madry_step
from jemstone.training import Guarding, Optimisation

__all__ = [
    "Attack",
    "Chains",
    "Contrast",
    "Langevin",
    "Network",
    "Recipe",
    "Sampling",
    "Weights",
    "changed",
    "flattened",
]


@dataclass(frozen=True)
class Network:
    """What is trained. An architecture takes those of the fields that it has arguments for.

    Args:
        architecture: of those registered in ``jemstone.nn``.
        depth: 6 n + 4 layers of a wide ResNet; hidden layers of an MLP.
        width: channels are 16, 32 and 64 times this; units of an MLP's layer.
        norm: batch, group or none.
        stride: of the first convolution: 1, or an even number for a coarser, cheaper network.
        activation: leaky-relu, or silu.
        init: default, or he for a network without norm layers.
    """

    architecture: str = "wide-resnet"
    depth: int = 10
    width: int = 1
    norm: str = "none"
    stride: int = 1
    activation: str = "leaky-relu"
    init: str = "default"


@dataclass(frozen=True)
class Attack:
    """A walk within a ball, pixels in [0, 1].

    Args:
        norm: linf or l2.
        eps: radius of the ball.
        steps: how many.
        step_size: length of a step, in the ball's norm.
        random_start: begin at a uniform draw from the ball.
        mode: of the network: eval, or batch for batch statistics.
    """

    norm: str = "linf"
    eps: float = 0.05
    steps: int = 15
    step_size: float = madry_step(0.05, 15)
    random_start: bool = False
    mode: str = "eval"


@dataclass(frozen=True)
class Langevin:
    """A walk downhill on the energy, pixels in [0, 1].

    Args:
        steps: passes through the network (m of PYLD).
        inner: steps for each pass (n of PYLD); 1 is SGLD.
        step_size: of an inner step, times the raw gradient.
        noise: standard deviation, once for each pass.
        temperature: instead of the noise, for true Langevin dynamics: no clip, one inner step.
        clip: largest entry of the gradient; null for no clip.
        clamp: stay in [0, 1].
        mode: of the network: eval, or batch for batch statistics.
    """

    steps: int = 20
    inner: int = 1
    step_size: float = 0.25
    noise: float = 0.0
    temperature: float | None = None
    clip: float | None = None
    clamp: bool = True
    mode: str = "eval"


@dataclass(frozen=True)
class Chains:
    """The replay buffer that training walks on in.

    Args:
        init: where chains begin: class-gaussian or uniform.
        jitter: added to the class-Gaussian variances, in squared [0, 1] pixels.
        rank: principal directions of each class Gaussian, with a diagonal for the rest, where
            full covariances are too large; null for those.
        size: slots.
        reinit: chance that a drawn chain begins anew.
    """

    init: Literal["class-gaussian", "uniform"] = "class-gaussian"
    jitter: float = 2.5e-5
    rank: int | None = None
    size: int = 10_000
    reinit: float = 0.05


@dataclass(frozen=True)
class Contrast:
    """Less contrast: pivot + factor (x - pivot).

    Args:
        factor: what distances from the pivot are multiplied by.
        pivot: the grey that stays.
    """

    factor: float = 0.8
    pivot: float = 0.5


@dataclass(frozen=True)
class Weights:
    """How much each objective counts; zero leaves it out.

    Args:
        cross_entropy: on clean images, with data noise.
        adversarial: cross-entropy on attacked images.
        likelihood: contrast of data and walk samples.
    """

    cross_entropy: float = 0.0
    adversarial: float = 0.0
    likelihood: float = 0.0


@dataclass(frozen=True)
class Sampling:
    """How images are drawn from scratch.

    Args:
        init: where chains begin: class-gaussian or uniform.
        attack: the targeted attack, of `attack` and `combined`.
        contrast: between attack and walk, of `combined`.
        combined: the walk on E(x, y) that ends `combined`.
        energy: the walk on E(x, y) of `energy`.
        unconditional: the walk on E(x) of `unconditional`.
    """

    init: Literal["class-gaussian", "uniform"] = "class-gaussian"
    attack: Attack = field(default_factory=Attack)
    contrast: Contrast = field(default_factory=Contrast)
    combined: Langevin = field(default_factory=Langevin)
    energy: Langevin = field(default_factory=Langevin)
    unconditional: Langevin = field(default_factory=Langevin)


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on, beside its data and its seed.

    Args:
        name: of the recipe.
        budget: quick, small or paper.
        network: what is trained.
        optimisation: how.
        guard: what sends a run in trouble back.
        augmentation: of training images.
        noise: of the data, in [0, 1] pixels, where the classifier's images are not attacked.
        weights: of the objectives.
        attack: on training images.
        ramp: steps of training until the attack has its full radius; 0 for at once.
        walk: of the training chains.
        chains: the replay buffer.
        conditional: contrast E(x, y) instead of E(x).
        positives: the data that is contrasted: clean images, or adversarial ones.
        sampling: from scratch, after training.
    """

    name: str = ""
    budget: Literal["quick", "small", "paper"] = "small"
    network: Network = field(default_factory=Network)
    optimisation: Optimisation = field(default_factory=Optimisation)
    guard: Guarding = field(default_factory=Guarding)
    augmentation: Augmentation = field(default_factory=Augmentation)
    noise: float = 0.0
    weights: Weights = field(default_factory=Weights)
    attack: Attack = field(default_factory=Attack)
    ramp: int = 0
    walk: Langevin = field(default_factory=Langevin)
    chains: Chains = field(default_factory=Chains)
    conditional: bool = False
    positives: Literal["clean", "adversarial"] = "clean"
    sampling: Sampling = field(default_factory=Sampling)


def changed(recipe: Recipe, fields: Mapping[str, Any]) -> Recipe:
    """Return the recipe with fields replaced, each named by its dotted path.

    >>> changed(Recipe(), {"attack.eps": 0.1, "sampling.energy.steps": 5}).sampling.energy.steps
    5

    Raises:
        Mistake: for a path that does not exist.
    """
    for path, value in fields.items():
        recipe = _changed(recipe, path, path.split("."), value)
    return recipe


def of_length(recipe: Recipe, steps: int | None) -> Recipe:
    """Return the recipe for so many steps; the ramp of its attack has the same share of them.

    Args:
        recipe: of another length.
        steps: of the optimiser; None to leave the recipe as it is.
    """
    if steps is None:
        return recipe
    whole = recipe.optimisation.steps
    ramp = round(recipe.ramp * steps / whole) if whole else recipe.ramp
    return changed(recipe, {"optimisation.steps": steps, "ramp": ramp})


def _changed(part: Any, path: str, words: list[str], value: Any) -> Any:
    head, *rest = words
    known = [f.name for f in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else []
    if head not in known:
        guess = nearest(head, known)
        hint = f": did you mean '{guess}'?" if guess else ""
        raise Mistake(f"a recipe has no field '{path}'{hint}")
    new = _changed(getattr(part, head), path, rest, value) if rest else value
    return dataclasses.replace(part, **{head: new})


def flattened(recipe: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each field of a recipe by its dotted path, with its value."""
    for f in dataclasses.fields(recipe):
        value = getattr(recipe, f.name)
        if dataclasses.is_dataclass(value):
            yield from flattened(value, f"{prefix}{f.name}.")
        else:
            yield f"{prefix}{f.name}", value
