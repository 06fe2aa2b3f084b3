"""Named sizes of a recipe: minutes, an hour or two, or the paper's machines.

One recipe serves every data set; a budget resizes it and keeps its method. What is changed, and
to what, stands on the recipe's card beside the paper's constant.
"""

from __future__ import annotations

from typing import Any

from jemstone.data import DataSet
from jemstone.errors import unknown
from jemstone.recipes.papers import PAPERS
from jemstone.recipes.schema import Recipe, changed

__all__ = ["BUDGETS", "recipe_for"]

BUDGETS = ("quick", "small", "paper")

_STEPS = {"quick": 2000, "small": 3000}

# Strokes on a plain ground are harder to break than photographs: the ball is twice the paper's.
_EPS = {"digits": 0.10, "mnist": 0.10}
_PAPER_EPS = 0.05


def _small(recipe: Recipe, data: str, budget: str) -> dict[str, Any]:
    """Return what both small budgets change, as tuned on digits."""
    fields: dict[str, Any] = {
        "network.depth": 10,
        "network.width": 2,
        "network.norm": "none",
        "optimisation.optimiser": "sgd",
        "optimisation.learning_rate": 0.05,
        "optimisation.momentum": 0.9,
        "optimisation.weight_decay": 4e-4,
        "optimisation.steps": _STEPS[budget],
        "optimisation.warmup": 100,
        "optimisation.schedule": "cosine",
        "optimisation.milestones": (),
        "optimisation.clip_norm": 1.0,
        "optimisation.ema": 0.999,
        "augmentation.padding": 1,
        "walk.mode": "eval",
        "chains.size": 2000,
        "sampling.contrast.factor": 0.95,
    }
    if recipe.walk.inner > 1:  # PYLD from class Gaussians: small images need few steps
        fields |= {
            "walk.steps": 5,
            "sampling.energy.steps": 10,
            "sampling.combined.steps": 10,
            "sampling.unconditional.steps": 60,
        }
    eps = _EPS.get(data, _PAPER_EPS)
    if recipe.attack.norm == "linf":
        fields |= _ball("attack", eps, steps=5)
        fields |= _ball("sampling.attack", eps / 2, steps=15)
    else:
        fields |= _ball("attack", recipe.attack.eps, steps=5)
        fields |= _ball("sampling.attack", 4.0, steps=30)
    return fields


def _ball(where: str, eps: float, steps: int) -> dict[str, Any]:
    """Return an attack that can reach the border of its ball from any start."""
    return {
        f"{where}.eps": eps,
        f"{where}.steps": steps,
        f"{where}.step_size": 2.5 * eps / steps,
    }


def recipe_for(name: str, data: DataSet, budget: str = "small") -> Recipe:
    """Return a recipe by name, at a size, for a data set.

    Args:
        name: as in :data:`PAPERS`.
        data: what it will be trained on; images that have no mirror image are not flipped.
        budget: ``quick``, ``small`` or ``paper``.

    Raises:
        Mistake: for an unknown name or budget.
    """
    if name not in PAPERS:
        raise unknown("recipe", name, PAPERS)
    if budget not in BUDGETS:
        raise unknown("budget", budget, BUDGETS)
    recipe = PAPERS[name]().recipe()
    fields = {"budget": budget, "augmentation.flip": data.flip}
    if budget != "paper":
        fields |= _small(recipe, data.name, budget)
    return changed(recipe, fields)
