"""Named sizes of a recipe: minutes, an hour or two, or the paper's machines.

One recipe serves every data set. A budget resizes it: the network, the walks, the schedule and
the balls, with a reason each; what is contrasted, attacked and summed stays the paper's.
"""

from __future__ import annotations

from jemstone.data import TOYS, is_flippable
from jemstone.errors import unknown
from jemstone.recipes.papers import PAPERS
from jemstone.recipes.schema import Recipe, changed
from jemstone.recipes.toys import toy_sizes
from jemstone.recipes.units import Constant

__all__ = ["BUDGETS", "recipe_for", "resizing"]

BUDGETS = ("quick", "small", "paper")

_STEPS = {"quick": 2000, "small": 3000}

# In [0, 1]. Strokes on a plain ground are harder to break than photographs.
_EPS = {"digits": 0.10, "mnist": 0.10}
_PAPER_EPS = 0.05

# Radii of the training attack and of painting on small images, and the steps of both. The paper
# paints in a ball five times the training ball; on 8x8 strokes that ruins FID (docs/results).
_SIZE = "small images"
_SPEED = "two cores"
_TRIALS = "trials on digits"


def _ball(where: str, eps: float, steps: int, source: str) -> tuple[Constant, ...]:
    """Size an attack that can reach the border of its ball from any start."""
    return (
        Constant(f"{where}.eps", eps, source),
        Constant(f"{where}.steps", steps, _SPEED),
        Constant(f"{where}.step_size", 2.5 * eps / steps, "2.5 eps / steps"),
    )


def _balls(norm: str, data: str) -> tuple[Constant, ...]:
    """Size both attacks, the training one and the painting one."""
    eps = _EPS.get(data, _PAPER_EPS)
    radii = {"linf": (eps, eps / 2, 15), "l2": (0.5, 4.0, 30)}
    why = "strokes are harder to break" if data in _EPS else "the paper's"
    trained, painted, steps = radii.get(norm, radii["linf"])
    return (
        *_ball("attack", trained, 5, why),
        *_ball("sampling.attack", painted, steps, _TRIALS if norm == "linf" else _SIZE),
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
    fields = [
        flip,
        Constant("network.depth", 10, _SPEED),
        Constant("network.width", 2, _SPEED),
        Constant("network.norm", "none", _SPEED),
        Constant("optimisation.optimiser", "sgd", _TRIALS),
        Constant("optimisation.learning_rate", 0.05, _TRIALS),
        Constant("optimisation.momentum", 0.9, _TRIALS),
        Constant("optimisation.weight_decay", 4e-4, "JEM++'s code"),
        Constant("optimisation.steps", _STEPS[budget], _SPEED),
        Constant("optimisation.warmup", 100, _SPEED),
        Constant("optimisation.schedule", "cosine", "our choice: no milestones to tune"),
        Constant("optimisation.milestones", (), "as above"),
        Constant("optimisation.clip_norm", 1.0, "our choice: stability"),
        Constant("optimisation.loss_limit", 1e4, "our choice: lost long before 1e8"),
        Constant("guard.retries", 4, "our choice: the papers stop at once"),
        Constant("optimisation.ema", 0.999, "our choice: smoother energies"),
        Constant("augmentation.padding", 1, _SIZE),
        Constant("walk.mode", "eval", "without batch norm both modes are one"),
        Constant("chains.size", 2000, _SPEED),
        Constant("sampling.contrast.factor", 0.95, _TRIALS),
        *_balls(recipe.attack.norm, data),
    ]
    if recipe.walk.inner > 1:  # PYLD from class Gaussians is near after few steps
        fields += [
            Constant("walk.steps", 5, _SPEED),
            Constant("sampling.energy.steps", 10, _TRIALS),
            Constant("sampling.combined.steps", 10, _TRIALS),
            Constant("sampling.unconditional.steps", 60, _SPEED),
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
