"""Named sizes of a recipe: minutes, up to a few hours, or the paper's machines.

One recipe serves every data set. A budget resizes it: the network, the walks, the schedule and
the balls, with a reason each; what is contrasted, attacked and summed stays the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jemstone.data import TOYS, is_flippable
from jemstone.errors import unknown
from jemstone.recipes.papers import PAPERS
from jemstone.recipes.schema import Recipe, changed
from jemstone.recipes.toys import toy_sizes
from jemstone.recipes.units import Constant
from jemstone.samplers import madry_step

__all__ = ["BUDGETS", "recipe_for", "resizing"]

BUDGETS = ("quick", "small", "paper")


@dataclass(frozen=True)
class _Size:
    """What a family of data sets asks of a budget beside the paper's.

    Args:
        steps: of training, by budget.
        eps: of the Linf balls, in [0, 1].
        width: of the network.
        stride: of its stem: 2 works on images half as high and wide.
        init: of its weights.
        learning_rate: of SGD.
        padding: of the random crops, in pixels.
        chains: slots of the replay buffer.
        ramp: share of the steps until the training attack has its full radius.
        attack: steps of the training attack.
        walk: passes of a sampling walk.
        walked: the source of that.
        unconditional: passes of a walk that begins without a label.
        source: of the others.
        sgld: share of the steps of training that a recipe takes which walks by SGLD, 20 passes
            where PYLD takes 5.
    """

    steps: dict[str, int]
    eps: float
    width: int
    stride: int
    init: str
    learning_rate: float
    padding: int
    chains: int
    ramp: float
    attack: int
    walk: int
    walked: str
    unconditional: int
    source: str
    sgld: float = 1.0


_PAPER_EPS = 0.05

# Strokes on a plain ground are harder to break than photographs, so their ball is wider.
_DIGITS = _Size(
    steps={"quick": 2000, "small": 3000},
    eps=0.10,
    width=2,
    stride=1,
    init="default",
    learning_rate=0.05,
    padding=1,
    chains=2000,
    ramp=0.0,
    attack=5,
    walk=10,
    walked="ablations on digits, of JEM++ and combined inference",
    unconditional=60,
    source="trials on digits",
)
_MNIST = _Size(
    steps={"quick": 600, "small": 2000},
    eps=0.10,
    width=2,
    stride=2,
    init="he",
    learning_rate=0.1,
    padding=2,
    chains=5000,
    ramp=0.0,
    attack=5,
    walk=10,
    walked="as on digits",
    unconditional=60,
    source="trials on mnist",
)
_CIFAR = _Size(
    steps={"quick": 600, "small": 12_000},
    eps=_PAPER_EPS,
    width=4,
    stride=2,
    init="he",
    learning_rate=0.1,
    padding=2,
    chains=10_000,
    ramp=0.5,
    attack=3,
    walk=150,
    walked="long walks on cifar10: FID 2.5 after 50 passes, 1.5 after 150",
    unconditional=300,
    source="trials on cifar10",
    sgld=0.5,
)
_OTHER = replace(_DIGITS, eps=_PAPER_EPS)  # of any size and shape

_SIZES = {
    "digits": _DIGITS,
    "mnist": _MNIST,
    "fashion-mnist": replace(_MNIST, source="as on mnist"),
    "cifar10": _CIFAR,
    "cifar100": replace(_CIFAR, source="as on cifar10"),
    "svhn": replace(_CIFAR, source="as on cifar10"),
}

_SPEED = "two cores"


def _ball(where: str, eps: float, steps: int, source: str) -> tuple[Constant, ...]:
    """Size an attack that can reach the border of its ball from any start."""
    return (
        Constant(f"{where}.eps", eps, source),
        Constant(f"{where}.steps", steps, _SPEED),
        Constant(f"{where}.step_size", madry_step(eps, steps), "2.5 eps / steps"),
    )


def _balls(norm: str, size: _Size) -> tuple[Constant, ...]:
    """Size both attacks, the training one and the painting one.

    The paper paints in a ball five times the training ball; on 8x8 strokes that ruins FID.
    """
    radii = {"linf": (size.eps, size.eps / 2, 15), "l2": (0.5, 4.0, 30)}
    papers = norm == "l2" or size.eps == _PAPER_EPS
    why = "the paper's" if papers else "strokes are harder to break"
    trained, painted, steps = radii.get(norm, radii["linf"])
    return (
        *_ball("attack", trained, size.attack, why),
        *_ball("sampling.attack", painted, steps, size.source),
    )


def resizing(name: str, data: str, budget: str) -> tuple[Constant, ...]:
    """Return what a budget changes in a recipe, each with its reason.

    Args:
        name: of the recipe.
        data: name of the data set.
        budget: ``quick``, ``small`` or ``paper``.
    """
    flip = Constant("augmentation.flip", is_flippable(data), f"mirrored images of {data}")
    if budget == "paper":
        return (flip,)
    if data in TOYS:
        return toy_sizes(budget)
    recipe = PAPERS[name]().recipe()
    size = _SIZES.get(data, _OTHER)
    has_sgld = recipe.weights.likelihood > 0 and recipe.walk.inner == 1
    steps = int(size.steps[budget] * (size.sgld if has_sgld else 1))
    fields = [
        flip,
        Constant("network.depth", 10, _SPEED),
        Constant("network.width", size.width, size.source),
        Constant("network.norm", "none", _SPEED),
        Constant("network.stride", size.stride, _SPEED),
        Constant("network.init", size.init, size.source),
        Constant("optimisation.optimiser", "sgd", size.source),
        Constant("optimisation.learning_rate", size.learning_rate, size.source),
        Constant("optimisation.momentum", 0.9, size.source),
        Constant("optimisation.weight_decay", 4e-4, "JEM++'s code"),
        Constant("optimisation.steps", steps, _SPEED),
        Constant("optimisation.warmup", 100, _SPEED),
        Constant("optimisation.schedule", "cosine", "our choice: no milestones to tune"),
        Constant("optimisation.milestones", (), "as above"),
        Constant("optimisation.clip_norm", 1.0, "our choice: stability"),
        Constant("optimisation.loss_limit", 1e4, "our choice: lost long before 1e8"),
        Constant("guard.retries", 4, "our choice: the papers stop at once"),
        Constant("optimisation.ema", 0.999, "our choice: smoother energies"),
        Constant("augmentation.padding", size.padding, size.source),
        Constant("walk.mode", "eval", "without batch norm both modes are one"),
        Constant("chains.size", size.chains, _SPEED),
        Constant("sampling.contrast.factor", 0.95, size.source),
        *_balls(recipe.attack.norm, size),
    ]
    if size.ramp and recipe.weights.adversarial:
        fields.append(Constant("ramp", int(size.ramp * steps), size.source))
    if recipe.walk.inner > 1:  # PYLD
        fields += [
            Constant("walk.steps", 5, f"{_SPEED}: chains begin near, at class Gaussians, and stay"),
            Constant("sampling.energy.steps", size.walk, size.walked),
            Constant("sampling.combined.steps", size.walk, size.walked),
            Constant("sampling.unconditional.steps", size.unconditional, _SPEED),
        ]
    return tuple(fields)


def recipe_for(name: str, data: str = "digits", budget: str = "small") -> Recipe:
    """Return a recipe by name, at a size, for a data set.

    >>> recipe_for("robust-jem", "cifar10", "paper").attack.eps
    0.05

    Args:
        name: as in :data:`PAPERS`.
        data: name of the data set it will be trained on; it need not be there.
        budget: ``quick``, ``small`` or ``paper``.

    Raises:
        Mistake: for an unknown name or budget.
    """
    if name not in PAPERS:
        raise unknown("recipe", name, PAPERS)
    if budget not in BUDGETS:
        raise unknown("budget", budget, BUDGETS)
    values = {constant.field: constant.value for constant in resizing(name, data, budget)}
    return changed(PAPERS[name]().recipe(), {"budget": budget, **values})
