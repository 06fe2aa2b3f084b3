"""A recipe for fewer steps."""

from jemstone.recipes import changed


def shortened(recipe, steps):
    """Return a recipe of so many steps; its ramp has the same share of them."""
    ramp = round(recipe.ramp * steps / recipe.optimisation.steps) if recipe.ramp else 0
    return changed(recipe, {"optimisation.steps": steps, "ramp": ramp})
