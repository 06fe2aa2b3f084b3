"""Papers as recipes, their sizes, and the parts they are built into."""

from jemstone.recipes.budgets import BUDGETS, recipe_for, resizing
from jemstone.recipes.build import (
    SAMPLERS,
    build_attack,
    build_buffer,
    build_model,
    build_objective,
    build_sampler,
    build_walk,
)
from jemstone.recipes.check import check_data, checked
from jemstone.recipes.estimate import Estimate, estimate, refuse_oversized
from jemstone.recipes.papers import PAPERS, Figure, Paper
from jemstone.recipes.schema import Recipe, changed, flattened, of_length
from jemstone.recipes.yaml_files import read_recipe, recipe_from, to_yaml, write_recipe

__all__ = [
    "BUDGETS",
    "PAPERS",
    "SAMPLERS",
    "Estimate",
    "Figure",
    "Paper",
    "Recipe",
    "build_attack",
    "build_buffer",
    "build_model",
    "build_objective",
    "build_sampler",
    "build_walk",
    "changed",
    "check_data",
    "checked",
    "estimate",
    "flattened",
    "of_length",
    "read_recipe",
    "recipe_for",
    "recipe_from",
    "refuse_oversized",
    "resizing",
    "to_yaml",
    "write_recipe",
]
